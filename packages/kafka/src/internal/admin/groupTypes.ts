/**
 * The options and results of operations on groups.
 */
import type { TopicPartition } from "@spillway/transport/Consumer"
import type { Position } from "@spillway/transport/Position"

/** A group of the cluster. */
export interface GroupListing {
  /** The group's id. */
  readonly groupId: string
  /** `consumer` for consumers; empty for a group that has only offsets. */
  readonly protocolType: string
  /** As Kafka names it, such as `Stable` or `Empty`; absent before Kafka 2.6. */
  readonly state: string | undefined
  /** `classic`, `consumer`, `share` or `streams`, as Kafka names it; absent before Kafka 3.8. */
  readonly type: string | undefined
}

/** A member of a group. */
export interface GroupMemberDescription {
  /** The id that the coordinator issued. */
  readonly memberId: string
  /** Absent for a member that isn't static. */
  readonly groupInstanceId: string | undefined
  /** The name of its client, which it chose. */
  readonly clientId: string
  /** The address that the broker sees, such as `/10.0.0.7`. */
  readonly host: string
  /**
   * The partitions that the member has in this generation; empty while the group rebalances. Absent if the group isn't
   * one of consumers, or the assignment can't be read.
   */
  readonly assignment: ReadonlyArray<TopicPartition> | undefined
}

/** A group of the classic protocol and its members. */
export interface GroupDescription {
  /** The group's id. */
  readonly groupId: string
  /** As Kafka names it: `Empty`, `PreparingRebalance`, `CompletingRebalance` or `Stable`. */
  readonly state: string
  /** `consumer` for consumers; empty for a group that has only offsets. */
  readonly protocolType: string
  /** The assignor that the members agreed on, such as `cooperative-sticky`; empty while the group isn't stable. */
  readonly protocol: string
  /** The coordinator's node id. */
  readonly coordinator: number
  /** Empty for a group without members. */
  readonly members: ReadonlyArray<GroupMemberDescription>
}

/** A committed offset of a group. */
export interface GroupOffset extends TopicPartition {
  /** The offset of the next record to handle. */
  readonly offset: number
  /** The leader epoch of the record before the offset; absent if it wasn't committed. */
  readonly leaderEpoch: number | undefined
  /** The text that was committed with the offset; null or empty if there is none. */
  readonly metadata: string | null
}

/** A new offset for a group. */
export interface OffsetReset extends TopicPartition {
  /** The position of the next record to handle. */
  readonly to: Position
}

/** How far a group is behind the end of a partition. */
export interface PartitionLag extends TopicPartition {
  /** The group's committed offset; absent if it has none. */
  readonly committed: number | undefined
  /** The offset of the next record to be written; under `read_committed`, the end of the committed ones. */
  readonly end: number
  /** Offsets from the committed one to the end, which may hold fewer records; absent without a committed offset. */
  readonly lag: number | undefined
}
