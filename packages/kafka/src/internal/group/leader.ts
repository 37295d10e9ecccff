/**
 * The leader's part of a rebalance: it assigns the partitions with the assignor that the group agreed on.
 */
import type { TopicPartition } from "@spillway/transport/Consumer"
import * as Logging from "@spillway/transport/runtime/Logging"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as LogLevel from "effect/LogLevel"
import type { JoinGroupResponse, SyncGroupRequest } from "../../Protocol.js"
import { assignors, isAssignor } from "../assignors/assignor.js"
import type { StickyMember } from "../assignors/cooperativeSticky.js"
import * as ConsumerProtocol from "./consumerProtocol.js"
import * as StartCounts from "./startCounts.js"

export interface Plan {
  /** The partition counts of all topics of the group that exist. */
  readonly partitionCounts: ReadonlyMap<string, number>
  readonly assignments: SyncGroupRequest["assignments"]
}

/** The plan of a follower, which decides nothing. */
export const noPlan: Plan = { partitionCounts: new Map(), assignments: [] }

const noSubscription: ConsumerProtocol.Subscription = {
  topics: [],
  ownedPartitions: [],
  generationId: -1,
  rackId: null
}

/** A member whose subscription can't be read gets no partitions and doesn't delay the others. */
const memberOf = ({ groupInstanceId, memberId, metadata }: JoinGroupResponse["members"][number]) =>
  Effect.try(() => ConsumerProtocol.decodeSubscription(metadata)).pipe(
    Effect.catchAll((cause) =>
      Effect.as(
        Logging.log(LogLevel.Warning, "A member's subscription can't be read", { memberId }, Cause.fail(cause)),
        noSubscription
      )
    ),
    Effect.map((subscription): StickyMember => ({ memberId, groupInstanceId, ...subscription }))
  )

export const plan = Effect.fnUntraced(function* <E, E2>(
  joined: JoinGroupResponse,
  countPartitions: (topics: ReadonlyArray<string>) => Effect.Effect<ReadonlyMap<string, number>, E>,
  /** Decides how many partitions the topics had when the group began to read them. */
  countAtStart: (
    topics: ReadonlyArray<string>,
    partitionCounts: ReadonlyMap<string, number>
  ) => Effect.Effect<StartCounts.StartCounts, E2>
): Effect.fn.Return<Plan, E | E2> {
  const members = yield* Effect.forEach(joined.members, memberOf)
  const topics = Array.from(new Set(members.flatMap((member) => member.topics))).sort()
  const found = yield* countPartitions(topics)
  const partitionCounts = new Map(
    topics.flatMap((topic) => (found.has(topic) ? [[topic, found.get(topic)!] as const] : []))
  )
  const startCounts = yield* countAtStart(topics, partitionCounts)
  const userDataFor = (partitions: ReadonlyArray<TopicPartition>) => {
    const counts = StartCounts.only(
      startCounts,
      partitions.map(({ topic }) => topic)
    )
    return counts.size === 0 ? undefined : StartCounts.encode(counts)
  }
  const assignor = isAssignor(joined.protocolName) ? joined.protocolName : "range"
  const assignments = Array.from(assignors[assignor](members, partitionCounts), ([memberId, partitions]) => ({
    memberId,
    assignment: ConsumerProtocol.encodeAssignment(partitions, userDataFor(partitions))
  }))
  return { partitionCounts, assignments }
})
