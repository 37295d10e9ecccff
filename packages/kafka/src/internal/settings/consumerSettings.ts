/**
 * A consumer's options, apart from code, with defaults applied and checked: every issue at once, with field and value.
 */
import type { CircuitBreakerOptions } from "@spillway/transport/CircuitBreaker"
import type { OptionIssue } from "@spillway/transport/InvalidOptions"
import * as CircuitBreaker from "@spillway/transport/runtime/CircuitBreaker"
import * as Settings from "@spillway/transport/runtime/Settings"
import type * as Config from "effect/Config"
import type { IsolationLevel } from "../../Protocol.js"
import type { AssignorName } from "../assignors/assignor.js"
import * as Fields from "./consumerFields.js"
import type { ConsumerOptions, ConsumerTuning } from "./consumerOptions.js"

export type { ConsumerOptions, ConsumerTuning }

/** Durations in milliseconds. */
export interface ConsumerSettings {
  readonly groupId: string
  /** Empty with a pattern. */
  readonly topics: ReadonlyArray<string>
  readonly topicPattern: RegExp | undefined
  readonly initialOffset: "earliest" | "latest"
  readonly offsetOutOfRange: "fail" | "earliest" | "latest"
  readonly isolationLevel: IsolationLevel
  readonly corruptBatch: "fail" | "skip"
  readonly assignors: ReadonlyArray<AssignorName>
  readonly groupInstanceId: string | null
  readonly leaveOnClose: boolean
  readonly rackId: string | null
  readonly startTimeoutMs: number | undefined
  readonly sessionTimeoutMs: number
  readonly heartbeatIntervalMs: number
  readonly rebalanceTimeoutMs: number
  readonly revokeTimeoutMs: number
  readonly drainTimeoutMs: number
  readonly commitIntervalMs: number
  readonly handlerTimeoutMs: number
  readonly metadataMaxAgeMs: number
  readonly maxLaneRecords: number
  readonly maxBufferedBytes: number
  readonly maxRecordBytes: number
  readonly fetchMaxWaitMs: number
  readonly fetchMaxPartitionBytes: number
  readonly fetchMaxBytes: number
  /** Absent when the consumer has none. */
  readonly circuitBreaker: CircuitBreaker.CircuitBreakerSettings | undefined
}

/** The pattern without the flags that would start a match at the last one's end. */
const stateless = ({ flags, source }: RegExp): RegExp => new RegExp(source, flags.replaceAll(/[gy]/g, ""))

/** The bytes of a response besides records. */
export const responseOverhead = 64 * 1024

/** The options that ask for responses larger than the connections read. */
const tooLarge = (
  values: { readonly fetchMaxBytes: number; readonly fetchMaxPartitionBytes: number },
  maxResponseBytes: number
): ReadonlyArray<OptionIssue> =>
  (["fetchMaxBytes", "fetchMaxPartitionBytes"] as const).flatMap((field) => {
    const value = values[field]
    const description = `must be ${responseOverhead} bytes below the wire's maxResponseBytes (${maxResponseBytes})`
    return value + responseOverhead > maxResponseBytes ? [{ field, value, description }] : []
  })

/** The settings; valid only if there are no issues. `maxResponseBytes`: the wire's limit, if it has one. */
export const check = (
  options: ConsumerOptions & { readonly circuitBreaker?: CircuitBreakerOptions | undefined },
  maxResponseBytes = Number.POSITIVE_INFINITY
): { readonly settings: ConsumerSettings; readonly issues: ReadonlyArray<OptionIssue> } => {
  const { issues, values } = Settings.check(Fields.settings, options)
  const { groupInstanceId = null, rackId = null, topics } = values
  const { circuitBreaker } = { ...options }
  const breaker = circuitBreaker === undefined ? undefined : CircuitBreaker.check(circuitBreaker)
  const settings: ConsumerSettings = {
    groupId: values.groupId,
    topics: topics instanceof RegExp ? [] : Array.from(new Set(topics)),
    topicPattern: topics instanceof RegExp ? stateless(topics) : undefined,
    initialOffset: values.initialOffset,
    offsetOutOfRange: values.offsetOutOfRange,
    isolationLevel: values.isolationLevel,
    corruptBatch: values.corruptBatch,
    assignors: Array.from(new Set(values.assignors)),
    groupInstanceId,
    leaveOnClose: values.leaveOnClose ?? groupInstanceId === null,
    rackId,
    startTimeoutMs: values.startTimeout,
    sessionTimeoutMs: values.sessionTimeout,
    heartbeatIntervalMs: values.heartbeatInterval,
    rebalanceTimeoutMs: values.rebalanceTimeout,
    revokeTimeoutMs: values.revokeTimeout,
    drainTimeoutMs: values.drainTimeout,
    commitIntervalMs: values.commitInterval,
    handlerTimeoutMs: values.handlerTimeout,
    metadataMaxAgeMs: values.metadataMaxAge,
    maxLaneRecords: values.maxLaneRecords,
    maxBufferedBytes: values.maxBufferedBytes,
    maxRecordBytes: values.maxRecordBytes,
    fetchMaxWaitMs: values.fetchMaxWait,
    fetchMaxPartitionBytes: values.fetchMaxPartitionBytes,
    fetchMaxBytes: values.fetchMaxBytes,
    circuitBreaker: breaker?.settings
  }
  return {
    settings,
    issues: [
      ...issues,
      ...tooLarge(values, maxResponseBytes),
      ...(breaker?.issues ?? []).map((issue) => ({ ...issue, field: `circuitBreaker.${issue.field}` }))
    ]
  }
}

export const config = (
  defaults?: Partial<ConsumerOptions> | undefined,
  namespace?: string | undefined
): Config.Config<ConsumerOptions> => Settings.config(Fields.settings, defaults, namespace)
