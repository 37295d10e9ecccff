/**
 * A consumer's options, apart from code, with defaults applied and checked: every error at once, with field and value.
 */
import type { CircuitBreakerOptions } from "@spillway/transport/CircuitBreaker"
import { ConsumerError } from "@spillway/transport/Consumer"
import * as CircuitBreaker from "@spillway/transport/runtime/CircuitBreaker"
import { type Issue, show } from "@spillway/transport/runtime/Environment"
import { isTopicName } from "@spillway/transport/runtime/TopicName"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { IsolationLevel } from "../../Protocol.js"
import { type AssignorName, assignors, isAssignor } from "../assignors/assignor.js"

/** The tuning options of a consumer. Each has a default. */
export interface ConsumerTuning {
  /**
   * Where to start without a committed offset. A partition created after the group began to read its topic starts at
   * its first record. Set the same value in all members. Default: `earliest`.
   */
  readonly initialOffset?: "earliest" | "latest" | undefined
  /** What to do when the committed offset isn't in the log any more. Default: `fail`. */
  readonly offsetOutOfRange?: "fail" | "earliest" | "latest" | undefined
  /**
   * Which records of transactions are delivered. `read_committed`: those of committed transactions, so reading waits at
   * the first open transaction. `read_uncommitted`: all, including those of open and aborted transactions. Topics
   * without transactions read the same with both. Default: `read_committed`. Java's consumer defaults to
   * `read_uncommitted`; but a producer has withdrawn the records that it aborts.
   */
  readonly isolationLevel?: IsolationLevel | undefined
  /**
   * What to do at a batch that can't be read: its checksum or structure is invalid, its compression isn't supported, or
   * one of its records takes more than `maxRecordBytes`. `fail` ends the consumer with `CorruptBatch`. `skip` resumes
   * after the batch: the offsets are logged and counted, the records are lost to this group. A batch that is unpacked
   * in several slices is handled up to the slice that can't be read. Default: `fail`.
   */
  readonly corruptBatch?: "fail" | "skip" | undefined
  /**
   * How the group's partitions are assigned, in order of preference; the group uses one that all its members offer.
   * `cooperative-sticky` (KIP-429) moves only what must move, and the other partitions continue through a rebalance;
   * `range` stops all partitions at each one. List both to change a group's assignor without stopping it: first every
   * member offers both (and rebalances as with `range`), then every member offers the new one alone.
   * Default: `["cooperative-sticky"]`.
   */
  readonly assignors?: ReadonlyArray<AssignorName> | undefined
  /**
   * Makes this a static member (KIP-345), which the group knows by this id. A static member that returns within
   * `sessionTimeout` gets its partitions back, and no other partition moves. Unique in the group. Default: none.
   */
  readonly groupInstanceId?: string | undefined
  /**
   * Whether closing leaves the group, so that other members get its partitions at once; otherwise they get them after
   * `sessionTimeout` (KIP-1092). Default: true, but false for a static member.
   */
  readonly leaveOnClose?: boolean | undefined
  /**
   * The rack (or zone) that this consumer runs in, sent to the group (KIP-881) and to leaders. If the brokers have a
   * `replica.selector.class`, a partition is read from a replica of this rack (KIP-392), and from its leader if that
   * fails. Default: none.
   */
  readonly rackId?: string | undefined
  /** The coordinator removes a member from which it receives no heartbeat for this long. Default: 45 seconds. */
  readonly sessionTimeout?: Duration.DurationInput | undefined
  /** How often a heartbeat is sent; below `sessionTimeout`. Default: 3 seconds. */
  readonly heartbeatInterval?: Duration.DurationInput | undefined
  /** How long the coordinator waits for members to rejoin. Default: 60 seconds. */
  readonly rebalanceTimeout?: Duration.DurationInput | undefined
  /** How long in-flight records may take to settle before their partition is revoked. Default: 30 seconds. */
  readonly revokeTimeout?: Duration.DurationInput | undefined
  /** How long in-flight records may take to settle when the consumer stops. Default: 30 seconds. */
  readonly drainTimeout?: Duration.DurationInput | undefined
  /** How often settled offsets are committed. Default: 1 second. */
  readonly commitInterval?: Duration.DurationInput | undefined
  /** A handler that runs longer is interrupted, at most a tenth later, and its record retried. Default: 5 minutes. */
  readonly handlerTimeout?: Duration.DurationInput | undefined
  /** How often to check the topics' partitions for changes. Default: 30 seconds; 1 second while a topic is missing. */
  readonly metadataInterval?: Duration.DurationInput | undefined
  /** A partition is fetched while fewer of its records than this are queued. Default: 500. */
  readonly maxLaneRecords?: number | undefined
  /**
   * No fetch is sent while the whole consumer holds this many bytes, and fetched batches stay compressed while this
   * many bytes of records are queued. Records count by their size in memory, plus 128 bytes each. So a consumer takes
   * about twice this, plus its largest record. Default: 64 MiB.
   */
  readonly maxBufferedBytes?: number | undefined
  /**
   * The most bytes that a record of a compressed batch may take when it is decompressed, at least 1 MiB. `corruptBatch`
   * decides what happens with a larger one. Batches may take any number of bytes. Default: 64 MiB.
   */
  readonly maxRecordBytes?: number | undefined
  /** How long the broker may wait for records. Default: 500 ms. */
  readonly fetchMaxWait?: Duration.DurationInput | undefined
  /** The most bytes of a partition in a response; a larger record is still fetched. Default: 1 MiB. */
  readonly maxPartitionBytes?: number | undefined
  /** The most bytes of a response; a larger record is still fetched. Default: 10 MiB. */
  readonly fetchMaxBytes?: number | undefined
  /** Whether log lines about a record show up to 1,024 characters of its key and its value, as text. Default: false. */
  readonly logPayloads?: boolean | undefined
}

/** A consumer's options, apart from code. */
export interface ConsumerOptions extends ConsumerTuning {
  /** The consumer group: its members share the topics' partitions, and its offsets are committed under this id. */
  readonly groupId: string
  /**
   * The topics by name, or every topic in whose name a pattern matches anywhere: `/^orders\./` for a prefix.
   * New topics are added, and deleted ones dropped, within `metadataInterval`. A pattern matches none of Kafka's
   * internal topics, and not the dead letter topics of the topics that it matches.
   */
  readonly topics: ReadonlyArray<string> | RegExp
}

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
  readonly sessionTimeoutMs: number
  readonly heartbeatIntervalMs: number
  readonly rebalanceTimeoutMs: number
  readonly revokeTimeoutMs: number
  readonly drainTimeoutMs: number
  readonly commitIntervalMs: number
  readonly handlerTimeoutMs: number
  readonly metadataIntervalMs: number
  readonly maxLaneRecords: number
  readonly maxBufferedBytes: number
  readonly maxRecordBytes: number
  readonly fetchMaxWaitMs: number
  readonly maxPartitionBytes: number
  readonly fetchMaxBytes: number
  /** Absent when the consumer has none. */
  readonly circuitBreaker: CircuitBreaker.CircuitBreakerSettings | undefined
}

/** The largest 32-bit integer: the limit of the protocol's fields, and of timers in milliseconds. */
const maxInt32 = 2 ** 31 - 1

/** The pattern without the flags that would start a match at the last one's end. */
const stateless = ({ flags, source }: RegExp): RegExp => new RegExp(source, flags.replaceAll(/[gy]/g, ""))

/** The settings; valid only if there are no issues. */
export const check = (
  options: ConsumerOptions & { readonly circuitBreaker?: CircuitBreakerOptions | undefined }
): { readonly settings: ConsumerSettings; readonly issues: ReadonlyArray<Issue> } => {
  const issues: Array<Issue> = []
  const check = (ok: boolean, field: string, value: unknown, description: string) => {
    if (!ok) issues.push({ field, value, description })
  }
  const oneOf = <A extends string>(field: keyof ConsumerTuning, value: A, ...values: ReadonlyArray<A>): A => {
    check(values.includes(value), field, value, `must be one of ${values.join(", ")}`)
    return value
  }
  const millis = (field: keyof ConsumerTuning, fallback: Duration.DurationInput): number => {
    const input = (options[field] as Duration.DurationInput | undefined) ?? fallback
    const decoded = Duration.decodeUnknown(input)
    const value = decoded._tag === "Some" ? Duration.toMillis(decoded.value) : Number.NaN
    check(value > 0 && value <= maxInt32, field, input, "must be a duration above zero and below 25 days")
    return value
  }
  const count = (field: keyof ConsumerTuning, fallback: number, max = maxInt32, min = 1): number => {
    const value = (options[field] as number | undefined) ?? fallback
    const ok = Number.isSafeInteger(value) && value >= min && value <= max
    check(ok, field, value, `must be a whole number from ${min} to ${max}`)
    return value
  }
  check(options.groupId.trim() !== "", "groupId", options.groupId, "must not be empty")
  const { topics } = options
  const named = topics instanceof RegExp ? [] : topics
  check(topics instanceof RegExp || named.length > 0, "topics", topics, "must name at least one topic")
  for (const [index, topic] of named.entries()) {
    check(isTopicName(topic), `topics[${index}]`, topic, "must be a legal topic name")
  }
  const offered = options.assignors ?? ["cooperative-sticky"]
  check(offered.length > 0, "assignors", offered, "must name at least one assignor")
  for (const [index, name] of offered.entries()) {
    check(isAssignor(name), `assignors[${index}]`, name, `must be one of ${Object.keys(assignors).join(", ")}`)
  }
  for (const field of ["groupInstanceId", "rackId"] as const) {
    const value = options[field]
    check(value === undefined || value.trim() !== "", field, value, "must not be empty")
  }
  const breaker = options.circuitBreaker === undefined ? undefined : CircuitBreaker.check(options.circuitBreaker)
  const settings: ConsumerSettings = {
    groupId: options.groupId,
    topics: Array.from(new Set(named)),
    topicPattern: topics instanceof RegExp ? stateless(topics) : undefined,
    initialOffset: oneOf("initialOffset", options.initialOffset ?? "earliest", "earliest", "latest"),
    offsetOutOfRange: oneOf("offsetOutOfRange", options.offsetOutOfRange ?? "fail", "fail", "earliest", "latest"),
    isolationLevel: oneOf(
      "isolationLevel",
      options.isolationLevel ?? "read_committed",
      "read_committed",
      "read_uncommitted"
    ),
    corruptBatch: oneOf("corruptBatch", options.corruptBatch ?? "fail", "fail", "skip"),
    assignors: Array.from(new Set(offered)),
    groupInstanceId: options.groupInstanceId ?? null,
    leaveOnClose: options.leaveOnClose ?? options.groupInstanceId === undefined,
    rackId: options.rackId ?? null,
    sessionTimeoutMs: millis("sessionTimeout", "45 seconds"),
    heartbeatIntervalMs: millis("heartbeatInterval", "3 seconds"),
    rebalanceTimeoutMs: millis("rebalanceTimeout", "60 seconds"),
    revokeTimeoutMs: millis("revokeTimeout", "30 seconds"),
    drainTimeoutMs: millis("drainTimeout", "30 seconds"),
    commitIntervalMs: millis("commitInterval", "1 second"),
    handlerTimeoutMs: millis("handlerTimeout", "5 minutes"),
    metadataIntervalMs: millis("metadataInterval", "30 seconds"),
    maxLaneRecords: count("maxLaneRecords", 500),
    maxBufferedBytes: count("maxBufferedBytes", 64 * 1024 * 1024, Number.MAX_SAFE_INTEGER),
    maxRecordBytes: count("maxRecordBytes", 64 * 1024 * 1024, maxInt32, 1024 * 1024),
    fetchMaxWaitMs: millis("fetchMaxWait", "500 millis"),
    maxPartitionBytes: count("maxPartitionBytes", 1024 * 1024),
    fetchMaxBytes: count("fetchMaxBytes", 10 * 1024 * 1024),
    circuitBreaker: breaker?.settings
  }
  for (const { description, field, value } of breaker?.issues ?? []) {
    issues.push({ field: `circuitBreaker.${field}`, value, description })
  }
  check(
    settings.heartbeatIntervalMs < settings.sessionTimeoutMs,
    "heartbeatInterval",
    settings.heartbeatIntervalMs,
    `must be below sessionTimeout (${settings.sessionTimeoutMs} ms)`
  )
  check(
    settings.revokeTimeoutMs < settings.rebalanceTimeoutMs,
    "revokeTimeout",
    settings.revokeTimeoutMs,
    `must be below rebalanceTimeout (${settings.rebalanceTimeoutMs} ms)`
  )
  return { settings, issues }
}

const refuse = (groupId: string, issues: ReadonlyArray<Issue>): Effect.Effect<never, ConsumerError> => {
  const description = issues
    .map(({ description, field, value }) => `${field}: ${description}, not ${show(value)}`)
    .join("; ")
  return Effect.fail(new ConsumerError({ reason: "Configuration", groupId, description }))
}

export const decode = (options: Parameters<typeof check>[0]): Effect.Effect<ConsumerSettings, ConsumerError> =>
  Effect.suspend(() => {
    const { issues, settings } = check(options)
    return issues.length === 0 ? Effect.succeed(settings) : refuse(options.groupId, issues)
  })

/** The bytes of a response besides records. */
export const responseOverhead = 64 * 1024

/** Fails if the responses that the consumer asks for may exceed what the connections read. */
export const checkResponses = (
  settings: ConsumerSettings,
  maxResponseBytes = Number.POSITIVE_INFINITY
): Effect.Effect<void, ConsumerError> => {
  const fields = ["fetchMaxBytes", "maxPartitionBytes"] as const
  const issues = fields.flatMap((field) => {
    const value = settings[field]
    const description = `must be ${responseOverhead} bytes below the wire's maxResponseBytes (${maxResponseBytes})`
    return value + responseOverhead <= maxResponseBytes ? [] : [{ field, value, description }]
  })
  return issues.length === 0 ? Effect.void : refuse(settings.groupId, issues)
}
