/**
 * A consumer's options from the environment. Each option of `ConsumerOptions` has its line here, or this doesn't compile.
 */
import * as Environment from "@spillway/transport/Environment"
import type { Config } from "effect/Config"
import * as ConsumerSettings from "./consumerSettings.js"

export const prefix = "KAFKA_CONSUMER"

const parsers: Environment.Parsers<ConsumerSettings.ConsumerOptions> = {
  groupId: Environment.text,
  topics: Environment.list,
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
