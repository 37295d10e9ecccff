/**
 * A consumer's options from the environment. This file must list each option of `ConsumerOptions` to compile.
 */
import * as Environment from "@spillway/transport/runtime/Environment"
import type { Config } from "effect/Config"
import * as Either from "effect/Either"
import * as ConsumerSettings from "./consumerSettings.js"

export const prefix = "KAFKA_CONSUMER"

/** Names separated by commas, or a pattern between slashes, which no topic name contains. */
const topics: Environment.Parser<ReadonlyArray<string> | RegExp> = (text) => {
  const pattern = /^\/(.+)\/([a-z]*)$/.exec(text)
  if (pattern === null) return Environment.list(text)
  const [, source = "", flags = ""] = pattern
  return Either.try({ try: () => new RegExp(source, flags), catch: () => "must be topics or a regular expression" })
}

const parsers: Environment.Parsers<ConsumerSettings.ConsumerOptions> = {
  groupId: Environment.text,
  topics,
  initialOffset: Environment.oneOf("earliest", "latest"),
  offsetOutOfRange: Environment.oneOf("fail", "earliest", "latest"),
  isolationLevel: Environment.oneOf("read_committed", "read_uncommitted"),
  corruptBatch: Environment.oneOf("fail", "skip"),
  assignors: Environment.listOf(Environment.oneOf("cooperative-sticky", "range")),
  groupInstanceId: Environment.text,
  leaveOnClose: Environment.boolean,
  rackId: Environment.text,
  sessionTimeout: Environment.duration,
  heartbeatInterval: Environment.duration,
  rebalanceTimeout: Environment.duration,
  revokeTimeout: Environment.duration,
  drainTimeout: Environment.duration,
  commitInterval: Environment.duration,
  handlerTimeout: Environment.duration,
  metadataInterval: Environment.duration,
  maxLaneRecords: Environment.number,
  maxBufferedBytes: Environment.number,
  maxRecordBytes: Environment.number,
  fetchMaxWait: Environment.duration,
  maxPartitionBytes: Environment.number,
  fetchMaxBytes: Environment.number,
  logPayloads: Environment.boolean
}

export const config = (
  defaults: Partial<ConsumerSettings.ConsumerOptions> = {},
  namespace?: string | undefined
): Config<ConsumerSettings.ConsumerOptions> =>
  Environment.options({
    prefix: Environment.prefixOf(namespace, prefix),
    parsers,
    defaults: { ...defaults, groupId: defaults.groupId ?? "", topics: defaults.topics ?? [] },
    check: (options) => ConsumerSettings.check(options).issues
  })
