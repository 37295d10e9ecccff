/**
 * The options of a consumer, apart from code.
 */
import type * as Duration from "effect/Duration"
import type { IsolationLevel } from "../../Protocol.js"
import type { AssignorName } from "../assignors/assignor.js"

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
  /**
   * How long the cluster and the group's coordinator may be unreachable at the start, before the consumer fails with
   * `Unreachable`. It limits neither the join of a group that rebalances, nor outages after the start. Default: none,
   * it tries forever.
   */
  readonly startTimeout?: Duration.DurationInput | undefined
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
  readonly metadataMaxAge?: Duration.DurationInput | undefined
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
  readonly fetchMaxPartitionBytes?: number | undefined
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
   * New topics are added, and deleted ones dropped, within `metadataMaxAge`. A pattern matches none of Kafka's
   * internal topics, and not the dead letter topics of the topics that it matches.
   */
  readonly topics: ReadonlyArray<string> | RegExp
}
