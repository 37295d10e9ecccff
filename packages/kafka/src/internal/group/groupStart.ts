/**
 * What a member knows of its group's start: how many partitions the topics had when the group began to read them. The
 * leader finds it out from what the group has committed, and sends it along with the assignments.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type { WireError } from "../../Wire.js"
import type { Cluster, ResponseError } from "../cluster/cluster.js"
import type { ConsumerSettings } from "../settings/consumerSettings.js"
import * as Decisions from "./decisions.js"
import type { Member } from "./member.js"
import * as StartCounts from "./startCounts.js"

/** The coordinator doesn't tell what the group has committed. */
export class OffsetsRefused extends Data.TaggedError("OffsetsRefused")<{
  readonly reaction: Decisions.Reaction
  readonly code: number
}> {}

export interface GroupStart {
  /** The member is about to join for topics, some of which may not exist. */
  readonly onJoin: (topics: ReadonlyArray<string>) => void
  /** The leader's part: the counts of the topics that the group reads, those that exist. */
  readonly decide: (
    topics: ReadonlyArray<string>,
    partitionCounts: ReadonlyMap<string, number>
  ) => Effect.Effect<StartCounts.StartCounts, WireError | ResponseError | OffsetsRefused>
  /** The member is in a generation, whose leader has sent the counts along with the assignment. */
  readonly onAssigned: (topics: ReadonlyArray<string>, isLeader: boolean, counts: StartCounts.StartCounts) => void
}

export const make = (options: {
  readonly cluster: Cluster
  readonly member: Member
  readonly settings: ConsumerSettings
  /** Whether a topic didn't exist when it was last asked for. */
  readonly isMissing: (topic: string) => boolean
  /** Whether a topic is read for matching a pattern. */
  readonly isMatched: (topic: string) => boolean
}): GroupStart => {
  const { cluster, isMatched, isMissing, member, settings } = options
  let known = StartCounts.none
  /** Whether the member has been in a generation of the group. */
  let hasBegun = false
  cluster.onMove(() => {
    known = StartCounts.none
    hasBegun = false
  })

  /** The topics of which the group has committed offsets. */
  const committedTopics = Effect.gen(function* () {
    const { groupId } = settings
    const answer = yield* member.toCoordinator("group", "OffsetFetch", { groupId, topics: null, requireStable: true })
    const reaction = Decisions.onOffsetFetch(answer.errorCode)
    if (reaction._tag !== "Ok") return yield* new OffsetsRefused({ reaction, code: answer.errorCode })
    // What isn't stable is committed, or about to be.
    const isCommitted = ({ errorCode, offset }: { readonly errorCode: number; readonly offset: number }) =>
      errorCode !== 0 || offset >= 0
    return new Set(answer.topics.flatMap(({ partitions, topic }) => (partitions.some(isCommitted) ? [topic] : [])))
  })

  return {
    onJoin: (topics) => {
      known = StartCounts.withMissing(known, topics, isMissing)
    },
    decide: Effect.fnUntraced(function* (topics, partitionCounts) {
      if (settings.initialOffset === "earliest") return StartCounts.none
      const present = Array.from(partitionCounts, ([topic, partitions]) => ({
        topic,
        topicId: cluster.topic(topic)?.topicId ?? "",
        partitions
      }))
      const committed = StartCounts.areKnown(known, present) ? new Set<string>() : yield* committedTopics
      const decided = StartCounts.decide({ hasBegun, known, committed, isMatched }, present)
      known = StartCounts.withMissing(decided, topics, (topic) => !partitionCounts.has(topic))
      return decided
    }),
    onAssigned: (topics, isLeader, counts) => {
      known = new Map([...(isLeader ? known : StartCounts.only(known, topics)), ...counts])
      hasBegun = true
    }
  }
}
