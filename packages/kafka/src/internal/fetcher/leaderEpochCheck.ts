/**
 * Asks a new leader whether its log still holds what was read before, so that no truncation goes unnoticed (KIP-320).
 */
import * as Effect from "effect/Effect"
import { KafkaErrorCode as Code } from "../../KafkaErrorCode.js"
import type { Api, OffsetForLeaderEpochResponse } from "../../Protocol.js"
import type { WireError } from "../../Wire.js"
import type { Cluster } from "../cluster/cluster.js"
import type { Failure } from "../concurrency/retries.js"
import type { Lane } from "../lane/lane.js"
import { keyOf } from "../topicPartition.js"

export type Answer = OffsetForLeaderEpochResponse["topics"][number]["partitions"][number]

export interface Validation {
  /**
   * Whether the leader is one of the past, so that it can't be asked for anything: records of a later epoch were read.
   * Not for ever, since the topic may have been created anew.
   */
  readonly isBehind: (lane: Lane, now: number) => boolean
  /** Whether the lane's position has to be validated before it is fetched from. */
  readonly isDue: (lane: Lane) => boolean
  /** Asks the leader about lanes that are due, and hands each answer on. */
  readonly ask: (nodeId: number, lanes: ReadonlyArray<Lane>) => Effect.Effect<void, WireError>
}

/** How long a broker may take to learn that another leads, in milliseconds; as long as its session and more. */
const behindMs = 30_000

/** Whether a log that answers so no longer holds the record before the position. */
const isTruncated = ({ endOffset }: Answer, position: number): boolean => endOffset < position

export const make = (
  cluster: Cluster,
  options: {
    /** A leader's error code, as a fetch would get it. */
    readonly refused: (lane: Lane, api: Api, errorCode: number) => Effect.Effect<void>
    readonly truncated: (lane: Lane, answer: Answer) => Effect.Effect<void>
    /** The lane is asked about again after a while. */
    readonly retry: (lane: Lane, failure: Failure) => Effect.Effect<void>
  }
): Validation => {
  /** The leader epochs in which positions were last validated. */
  const validated = new WeakMap<Lane, number>()
  /** When lanes were first seen with a leader of the past, in milliseconds. */
  const behindSince = new WeakMap<Lane, number>()

  const epochOf = (lane: Lane): number => cluster.leader(lane.topic, lane.partition)?.leaderEpoch ?? -1

  return {
    isBehind: (lane, now) => {
      const leaderEpoch = epochOf(lane)
      if (leaderEpoch < 0 || leaderEpoch >= lane.leaderEpoch()) {
        behindSince.delete(lane)
        return false
      }
      const since = behindSince.get(lane) ?? now
      behindSince.set(lane, since)
      return now - since < behindMs
    },
    // A leader of the epoch in which the last record was written has that record.
    isDue: (lane) => {
      const leaderEpoch = epochOf(lane)
      const lastEpoch = lane.leaderEpoch()
      return lastEpoch >= 0 && leaderEpoch >= 0 && leaderEpoch !== lastEpoch && leaderEpoch !== validated.get(lane)
    },
    ask: (nodeId, lanes) => {
      const asked = lanes.map((lane) => ({
        lane,
        position: lane.position,
        currentLeaderEpoch: epochOf(lane),
        leaderEpoch: lane.leaderEpoch()
      }))
      const request = cluster.request(nodeId, "data", "OffsetForLeaderEpoch", {
        topics: asked.map(({ currentLeaderEpoch, lane, leaderEpoch }) => ({
          topic: lane.topic,
          partitions: [{ partition: lane.partition, currentLeaderEpoch, leaderEpoch }]
        }))
      })
      const receive = Effect.fnUntraced(function* ({ topics }: OffsetForLeaderEpochResponse) {
        const answers = new Map(
          topics.flatMap(({ partitions, topic }) =>
            partitions.map((answer) => [keyOf({ topic, partition: answer.partition }), answer])
          )
        )
        for (const { currentLeaderEpoch, lane, position } of asked) {
          if (!lane.isOpen() || lane.position !== position) continue
          const found = answers.get(keyOf(lane))
          if (found === undefined) yield* options.retry(lane, "OffsetForLeaderEpoch left the partition out")
          else if (found.errorCode !== Code.NONE) yield* options.refused(lane, "OffsetForLeaderEpoch", found.errorCode)
          else if (isTruncated(found, position)) yield* options.truncated(lane, found)
          else validated.set(lane, currentLeaderEpoch)
        }
      })
      return Effect.flatMap(request, receive)
    }
  }
}
