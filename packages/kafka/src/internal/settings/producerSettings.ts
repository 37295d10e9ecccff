/**
 * A producer's options with defaults applied and checked: every issue at once, with field and value.
 */
import type { InvalidOptions } from "@spillway/transport/InvalidOptions"
import * as Settings from "@spillway/transport/runtime/Settings"
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import type { Compression } from "../recordBatch/types.js"
import * as Fields from "./producerFields.js"
import type { KafkaProducerOptions, PartitionerInput } from "./producerOptions.js"

export type { KafkaProducerOptions, PartitionerInput }

/** Durations in milliseconds. */
export interface ProducerSettings {
  readonly lingerMs: number
  /** Whether batches are sent without lingering when their broker is idle. */
  readonly isEager: boolean
  readonly idempotent: boolean
  readonly compression: Compression
  readonly maxBatchBytes: number
  readonly maxBatchRecords: number
  readonly maxRequestBytes: number
  readonly bufferMemory: number
  readonly maxBlockMs: number
  readonly partitioner: KafkaProducerOptions["partitioner"]
  readonly startTimeoutMs: number | undefined
  readonly deliveryTimeoutMs: number
  readonly acknowledgeTimeoutMs: number
  readonly unknownTopicTimeoutMs: number
  readonly drainTimeoutMs: number
  readonly metadataMaxAgeMs: number
}

/** The settings of valid options. */
export const settingsOf = (values: Settings.Decoded<typeof Fields.fields>): ProducerSettings => ({
  isEager: values.linger === undefined,
  lingerMs: values.linger ?? 5,
  idempotent: values.idempotent,
  compression: values.compression,
  maxBatchBytes: values.maxBatchBytes,
  maxBatchRecords: values.maxBatchRecords,
  maxRequestBytes: values.maxRequestBytes ?? Math.max(16 * 1024 * 1024, values.maxBatchBytes),
  bufferMemory: values.bufferMemory ?? Math.max(32 * 1024 * 1024, values.maxBatchBytes),
  maxBlockMs: values.maxBlock,
  partitioner: values.partitioner,
  startTimeoutMs: values.startTimeout,
  deliveryTimeoutMs: values.deliveryTimeout,
  acknowledgeTimeoutMs: Math.ceil(values.acknowledgeTimeout),
  unknownTopicTimeoutMs: values.unknownTopicTimeout,
  drainTimeoutMs: values.drainTimeout,
  metadataMaxAgeMs: values.metadataMaxAge
})

export const decode = (options: KafkaProducerOptions | undefined): Effect.Effect<ProducerSettings, InvalidOptions> =>
  Effect.map(Settings.decode(Fields.settings, options), settingsOf)

export const config = (
  defaults?: KafkaProducerOptions | undefined,
  namespace?: string | undefined
): Config.Config<KafkaProducerOptions> => Settings.config(Fields.settings, defaults, namespace)
