/**
 * A consumer's numbers, with their defaults filled in and checked: every error at once, naming field and value.
 */
import * as CircuitBreaker from "@spillway/transport/CircuitBreaker"
import { ConsumerError, isTopicName } from "@spillway/transport/Consumer"
import { type Issue, show } from "@spillway/transport/Environment"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { IsolationLevel } from "../../Protocol.js"
import { type AssignorName, assignors, isAssignor } from "../assignors/assignor.js"

/** The tuning options of a consumer; every one has a default. */
export interface ConsumerTuning {
  /**
   * Where to start without a committed offset; a partition that came after the group began to read its topic starts at
   * its first record. The same in all members. Default: `earliest`.
   */
  readonly initialOffset?: "earliest" | "latest" | undefined
  /** What to do when the committed offset is no longer in the log. Default: `fail`. */
  readonly offsetOutOfRange?: "fail" | "earliest" | "latest" | undefined
  /**
   * Which records of transactions are handed out. `read_committed`: those of committed ones, so that reading waits
   * at the first transaction that is still open. `read_uncommitted`: all, those of open and aborted ones too. Topics
   * without transactions are read alike by both. Default: `read_committed`, where Java's consumer has
   * `read_uncommitted`, since an aborted record is one that its producer has taken back.
   */
  readonly isolationLevel?: IsolationLevel | undefined
  /**
   * What to do at a batch that can't be read: its checksum or structure is wrong, what it was compressed with can't be
   * read, or a record in it takes more than `maxRecordBytes`. `fail` ends the consumer with `CorruptBatch`. `skip`
   * continues behind the batch: the offsets are logged and counted, the records are lost to this group. A batch that is
   * unpacked in several slices is handled up to the slice that can't be read. Default: `fail`.
   */
  readonly corruptBatch?: "fail" | "skip" | undefined
  /**
   * How the group's partitions are shared out, in order of preference; the group takes one that all its members offer.
   * `cooperative-sticky` (KIP-429) moves only what must move, and the rest goes on through a rebalance; `range` stops
   * everything for each. Both at once let a group change from one to the other without stopping: first every member
   * offers both (and rebalances as with `range`), then every member offers the new one alone.
   * Default: `["cooperative-sticky"]`.
   */
  readonly assignors?: ReadonlyArray<AssignorName> | undefined
  /**
   * Makes this a static member (KIP-345), known by this id to its group: one that is back within `sessionTimeout` gets
   * its partitions again, and nobody else's move. Unique in the group. Default: none.
   */
  readonly groupInstanceId?: string | undefined
  /**
   * Whether closing leaves the group, so that its partitions go to the others at once; else they do when
   * `sessionTimeout` is over (KIP-1092). Default: true, but false for a static member.
   */
  readonly leaveOnClose?: boolean | undefined
  /**
   * The rack (or zone) this runs in, told to the group (KIP-881), and to leaders: where the brokers have a
   * `replica.selector.class`, a partition is read from a replica of this rack (KIP-392), and from its leader when that
   * fails. Default: none.
   */
  readonly rackId?: string | undefined
  /** A member that the coordinator hasn't heard of for this long is dead. Default: 45 seconds. */
  readonly sessionTimeout?: Duration.DurationInput | undefined
  /** Default: 3 seconds. */
  readonly heartbeatInterval?: Duration.DurationInput | undefined
  /** How long the coordinator waits for members to rejoin. Default: 60 seconds. */
  readonly rebalanceTimeout?: Duration.DurationInput | undefined
  /** How long records in flight may take to settle before their partition is given up. Default: 30 seconds. */
  readonly revokeTimeout?: Duration.DurationInput | undefined
  /** How long records in flight may take to settle when the consumer stops. Default: 30 seconds. */
  readonly drainTimeout?: Duration.DurationInput | undefined
  /** Default: 1 second. */
  readonly commitInterval?: Duration.DurationInput | undefined
  /** A handler that runs longer is interrupted, within a tenth more, and its record retried. Default: 5 minutes. */
  readonly handlerTimeout?: Duration.DurationInput | undefined
  /** How often the topics' partitions are looked at for change. Default: 30 seconds; 1 second while one is missing. */
  readonly metadataInterval?: Duration.DurationInput | undefined
  /** A partition is fetched for while it has fewer records than this waiting. Default: 500. */
  readonly maxLaneRecords?: number | undefined
  /**
   * No fetch is made while the whole consumer holds this many bytes, and what was fetched stays compressed while this
   * many bytes of records wait: they count as they are in memory, with 128 bytes for each record besides its own. So a
   * consumer takes about twice as much, and its largest record. Default: 64 MiB.
   */
  readonly maxBufferedBytes?: number | undefined
  /**
   * A record of a compressed batch may take this many bytes when it is decompressed, from 1 MiB on; one that takes more
   * is handled as `corruptBatch` says. Batches may take any number of bytes. Default: 64 MiB.
   */
  readonly maxRecordBytes?: number | undefined
  /** How long the broker may wait for records. Default: 500 ms. */
  readonly fetchMaxWait?: Duration.DurationInput | undefined
  /** Default: 1 MiB. A larger record is fetched all the same. */
  readonly maxPartitionBytes?: number | undefined
  /** Default: 10 MiB. */
  readonly fetchMaxBytes?: number | undefined
  /** Whether log lines about a record tell 1,024 characters of its key and of its value, as text. Default: false. */
  readonly logPayloads?: boolean | undefined
}

/** What every consumer is made of, besides its code. */
export interface ConsumerOptions extends ConsumerTuning {
  readonly groupId: string
  /**
   * The topics by name, or every topic that a pattern matches anywhere in its name: `/^orders\./` those that begin so.
   * Topics that come later are taken up, and those that go given up, within `metadataInterval`. A pattern matches none
   * of Kafka's own topics, and not the dead letter topics of those that it matches.
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

/** The largest 32-bit number: the protocol's fields hold no more, and timers in milliseconds no longer. */
const maxInt32 = 2 ** 31 - 1

/** A pattern that is tested from the start of a name each time. */
const stateless = ({ flags, source }: RegExp): RegExp => new RegExp(source, flags.replaceAll(/[gy]/g, ""))

/** The settings, which are good where there is no issue. */
export const check = (
  options: ConsumerOptions & { readonly circuitBreaker?: CircuitBreaker.CircuitBreakerOptions | undefined }
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
  check(topics instanceof RegExp || named.length > 0, "topics", topics, "must name a topic")
  for (const [index, topic] of named.entries()) {
    check(isTopicName(topic), `topics[${index}]`, topic, "must be a legal topic name")
  }
  const offered = options.assignors ?? ["cooperative-sticky"]
  check(offered.length > 0, "assignors", offered, "must name an assignor")
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

/** What a response has besides records, in bytes. */
const responseOverhead = 64 * 1024

/** Fails when the responses that the consumer asks for can be larger than the connections read. */
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
