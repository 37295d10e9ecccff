/**
 * The assignors that a member offers its group, under the names that Kafka's clients use.
 */
import type { TopicPartition } from "@spillway/transport/Consumer"
import * as CooperativeSticky from "./cooperativeSticky.js"
import * as Range from "./range.js"

/** An assignor, by the name that Kafka's clients give it: `CooperativeStickyAssignor`, `RangeAssignor`. */
export type AssignorName = "cooperative-sticky" | "range"

/** `eager` (range) revokes every partition before a member rejoins; `cooperative` only those that move (KIP-429). */
export type RebalanceProtocol = "eager" | "cooperative"

type Assign = (
  members: ReadonlyArray<CooperativeSticky.StickyMember>,
  partitionCounts: ReadonlyMap<string, number>
) => Map<string, Array<TopicPartition>>

export const assignors: Readonly<Record<AssignorName, Assign>> = {
  "cooperative-sticky": CooperativeSticky.assign,
  range: Range.assign
}

export const isAssignor = (name: string): name is AssignorName => Object.hasOwn(assignors, name)

/**
 * The protocol that every offered assignor allows, as in Java's client. With `range` among them, a rebalance may assign
 * this member's partitions to others, so it owns nothing when it rejoins.
 */
export const protocolOf = (offered: ReadonlyArray<AssignorName>): RebalanceProtocol =>
  offered.includes("range") ? "eager" : "cooperative"
