/**
 * A producer's options from the environment. This file must list each option of `ProducerOptions` that isn't a function
 * to compile.
 */
import * as Environment from "@spillway/transport/runtime/Environment"
import type { Config } from "effect/Config"
import * as Compression from "../recordBatch/compression.js"
import { decode, type ProducerOptions } from "./producerSettings.js"

export const prefix = "KAFKA_PRODUCER"

export const parsers: Environment.Parsers<ProducerOptions> = {
  idempotent: Environment.boolean,
  linger: Environment.duration,
  compression: Environment.oneOf(...Compression.names),
  maxBatchBytes: Environment.number,
  maxBatchRecords: Environment.number,
  maxRequestBytes: Environment.number,
  bufferMemory: Environment.number,
  maxBlock: Environment.duration,
  deliveryTimeout: Environment.duration,
  acknowledgeTimeout: Environment.duration,
  unknownTopicTimeout: Environment.duration,
  closeTimeout: Environment.duration,
  metadataMaxAge: Environment.duration
}

export const config = (defaults: ProducerOptions = {}, namespace?: string | undefined): Config<ProducerOptions> =>
  Environment.options({
    prefix: Environment.prefixOf(namespace, prefix),
    parsers,
    defaults,
    check: (options) => Environment.issuesOf(decode(options))
  })
