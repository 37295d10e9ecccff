/**
 * Asks a new leader whether its log still has the records that were read, to detect truncation (KIP-320).
 */
import * as Effect from "effect/Effect"
import { KafkaErrorCode as Code } from "../../KafkaErrorCode.js"
import type { Api, OffsetForLeaderEpochResponse } from "../../Protocol.js"
import type { WireError } from "../../Wire.js"
import type { Cluster } from "../cluster/cluster.js"
import type { Failure } from "../concurrency/retries.js"
import type { Partition } from "../lane/partition.js"
import { keyOf } from "../topicPartition.js"

export type EpochEnd = OffsetForLeaderEpochResponse["topics"][number]["partitions"][number]

export interface LeaderEpochCheck {
  /**
   * Whether the known leader is outdated, because records of a later epoch were read. Such a leader can't serve the
   * partition. Not forever, since the topic may have been recreated.
   */
  readonly isBehind: (assigned: Partition, now: number) => boolean
  /** Whether the partition's position has to be validated before it is fetched from. */
  readonly isDue: (assigned: Partition) => boolean
  /** Asks the leader about due partitions, and passes on each answer. */
  readonly ask: (nodeId: number, due: ReadonlyArray<Partition>) => Effect.Effect<void, WireError>
}

/** How long a broker may take to learn of a new leader, in milliseconds: longer than its session. */
const behindMs = 30_000

/** Whether the answer means that the log no longer has the record before the position. */
const isTruncated = ({ endOffset }: EpochEnd, position: number): boolean => endOffset < position

export const make = (
  cluster: Cluster,
  options: {
    /** Reacts to a leader's error code, as for a fetch. */
    readonly refused: (assigned: Partition, api: Api, errorCode: number) => Effect.Effect<void>
    readonly truncated: (assigned: Partition, answer: EpochEnd) => Effect.Effect<void>
    /** Asks about the partition again after a delay. */
    readonly retry: (assigned: Partition, failure: Failure) => Effect.Effect<void>
  }
): LeaderEpochCheck => {
  /** The leader epochs in which positions were last validated. */
  const validated = new WeakMap<Partition, number>()
  /** When partitions were first seen with an outdated leader, in milliseconds. */
  const behindSince = new WeakMap<Partition, number>()

  const epochOf = (assigned: Partition): number => cluster.leader(assigned.topic, assigned.partition)?.leaderEpoch ?? -1

  return {
    isBehind: (assigned, now) => {
      const leaderEpoch = epochOf(assigned)
      if (leaderEpoch < 0 || leaderEpoch >= assigned.leaderEpoch()) {
        behindSince.delete(assigned)
        return false
      }
      const since = behindSince.get(assigned) ?? now
      behindSince.set(assigned, since)
      return now - since < behindMs
    },
    // The leader of the last record's epoch has that record.
    isDue: (assigned) => {
      const leaderEpoch = epochOf(assigned)
      const lastEpoch = assigned.leaderEpoch()
      return lastEpoch >= 0 && leaderEpoch >= 0 && leaderEpoch !== lastEpoch && leaderEpoch !== validated.get(assigned)
    },
    ask: (nodeId, due) => {
      const asked = due.map((assigned) => ({
        assigned,
        position: assigned.position,
        currentLeaderEpoch: epochOf(assigned),
        leaderEpoch: assigned.leaderEpoch()
      }))
      const request = cluster.request(nodeId, "data", "OffsetForLeaderEpoch", {
        topics: asked.map(({ currentLeaderEpoch, assigned, leaderEpoch }) => ({
          topic: assigned.topic,
          partitions: [{ partition: assigned.partition, currentLeaderEpoch, leaderEpoch }]
        }))
      })
      const receive = Effect.fnUntraced(function* ({ topics }: OffsetForLeaderEpochResponse) {
        const answers = new Map(
          topics.flatMap(({ partitions, topic }) =>
            partitions.map((answer) => [keyOf({ topic, partition: answer.partition }), answer])
          )
        )
        for (const { currentLeaderEpoch, assigned, position } of asked) {
          if (!assigned.isOpen() || assigned.position !== position) continue
          const found = answers.get(keyOf(assigned))
          if (found === undefined) yield* options.retry(assigned, "OffsetForLeaderEpoch left the partition out")
          else if (found.errorCode !== Code.NONE)
            yield* options.refused(assigned, "OffsetForLeaderEpoch", found.errorCode)
          else if (isTruncated(found, position)) yield* options.truncated(assigned, found)
          else validated.set(assigned, currentLeaderEpoch)
        }
      })
      return Effect.flatMap(request, receive)
    }
  }
}
