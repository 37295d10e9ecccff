/**
 * A member's knowledge of its group's start: how many partitions each topic had when the group began to read it. The
 * leader derives it from the group's committed offsets and sends it with the assignments.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type { WireError } from "../../Wire.js"
import type { Cluster, ResponseError } from "../cluster/cluster.js"
import type { ConsumerSettings } from "../settings/consumerSettings.js"
import * as Decisions from "./decisions.js"
import type { Member } from "./member.js"
import * as StartCounts from "./startCounts.js"

/** The coordinator doesn't report the group's committed offsets. */
export class OffsetsRefused extends Data.TaggedError("OffsetsRefused")<{
  readonly reaction: Decisions.Reaction
  readonly code: number
}> {}

export interface GroupStart {
  /** Called before the member joins for topics, some of which may not exist. */
  readonly onJoin: (topics: ReadonlyArray<string>) => void
  /** For the leader: the counts of the topics that the group reads and that exist. */
  readonly decide: (
    topics: ReadonlyArray<string>,
    partitionCounts: ReadonlyMap<string, number>
  ) => Effect.Effect<StartCounts.StartCounts, WireError | ResponseError | OffsetsRefused>
  /**
   * How many of the topics' partitions the group has assigned, as far as its committed offsets say: a member commits
   * where it starts. Empty if they can't be known.
   */
  readonly countAssigned: (partitionCounts: ReadonlyMap<string, number>) => Effect.Effect<ReadonlyMap<string, number>>
  /** Called in a new generation, with the counts that its leader sent with the assignment. */
  readonly onAssigned: (topics: ReadonlyArray<string>, isLeader: boolean, counts: StartCounts.StartCounts) => void
}

export const make = (options: {
  readonly cluster: Cluster
  readonly member: Member
  readonly settings: ConsumerSettings
  /** Whether a topic was missing in the last metadata. */
  readonly isMissing: (topic: string) => boolean
  /** Whether a topic is read because it matches a pattern. */
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

  /** The partitions for which the group has committed offsets, by topic. */
  const committedPartitions = Effect.gen(function* () {
    const { groupId } = settings
    const answer = yield* member.toCoordinator("data", "OffsetFetch", { groupId, topics: null, requireStable: true })
    const reaction = Decisions.onOffsetFetch(answer.errorCode)
    if (reaction._tag !== "Ok") return yield* new OffsetsRefused({ reaction, code: answer.errorCode })
    // An unstable offset is committed, or about to be.
    const isCommitted = ({ errorCode, offset }: { readonly errorCode: number; readonly offset: number }) =>
      errorCode !== 0 || offset >= 0
    return new Map(
      answer.topics.flatMap(({ partitions, topic }) => {
        const committed = partitions.filter(isCommitted).map(({ partition }) => partition)
        return committed.length === 0 ? [] : [[topic, new Set(committed)] as const]
      })
    )
  })

  return {
    countAssigned: (partitionCounts) =>
      committedPartitions.pipe(
        Effect.map((committed) => {
          const isAssigned = (topic: string) => (partition: number) => committed.get(topic)?.has(partition) === true
          return new Map(
            Array.from(partitionCounts, ([topic, count]) => {
              const partitions = Array.from({ length: count }, (_, partition) => partition)
              return [topic, partitions.filter(isAssigned(topic)).length] as const
            })
          )
        }),
        Effect.catchAll(() => Effect.succeed(new Map<string, number>()))
      ),
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
      const committed = StartCounts.areKnown(known, present)
        ? new Set<string>()
        : new Set((yield* committedPartitions).keys())
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
