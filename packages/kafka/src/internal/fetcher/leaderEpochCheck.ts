/**
 * Asks a new leader whether its log still holds what was read before, so that no truncation goes unnoticed (KIP-320).
 */
import * as Effect from "effect/Effect"
import { KafkaErrorCode as Code } from "../../KafkaErrorCode.js"
import type { OffsetForLeaderEpochResponse } from "../../Protocol.js"
import type { WireError } from "../../Wire.js"
import type { Cluster } from "../cluster/cluster.js"
import type { Lane } from "../lane/lane.js"

export type Answer = OffsetForLeaderEpochResponse["topics"][number]["partitions"][number]

export interface Validation {
  /**
   * Whether the leader is one of the past, so that it can't be asked for anything: records of a later epoch were read.
   * Not for ever, since the topic may have been created anew.
   */
  readonly isBehind: (lane: Lane, now: number) => boolean
  /** Whether the lane's position has to be validated before it is fetched from. */
  readonly isDue: (lane: Lane) => boolean
  /** Asks the leader about lanes that are due, and hands each answer on; true when the metadata is in doubt. */
  readonly ask: (nodeId: number, lanes: ReadonlyArray<Lane>) => Effect.Effect<boolean, WireError>
}

/** How long a broker may take to learn that another leads, in milliseconds; as long as its session and more. */
const behindMs = 30_000

/** Whether a log that answers so no longer holds the record before the position. */
const isTruncated = ({ endOffset }: Answer, position: number): boolean => endOffset < position

export const make = (
  cluster: Cluster,
  options: {
    /** A leader's error code, as a fetch would get it: true when the metadata is in doubt. */
    readonly refused: (lane: Lane, errorCode: number) => Effect.Effect<boolean>
    /** True when the metadata is in doubt. */
    readonly truncated: (lane: Lane, answer: Answer) => Effect.Effect<boolean>
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
    ask: Effect.fnUntraced(function* (nodeId, lanes) {
      const asked = lanes.map((lane) => ({
        lane,
        position: lane.position,
        currentLeaderEpoch: epochOf(lane)
      }))
      const { topics } = yield* cluster.request(nodeId, "fetch", "OffsetForLeaderEpoch", {
        topics: asked.map(({ currentLeaderEpoch, lane }) => ({
          topic: lane.topic,
          partitions: [{ partition: lane.partition, currentLeaderEpoch, leaderEpoch: lane.leaderEpoch() }]
        }))
      })
      const answers = topics.flatMap(({ partitions, topic }) => partitions.map((answer) => ({ topic, answer })))
      let inDoubt = false
      for (const { currentLeaderEpoch, lane, position } of asked) {
        const found = answers.find(({ answer, topic }) => topic === lane.topic && answer.partition === lane.partition)
        if (found === undefined || !lane.isOpen() || lane.position !== position) continue
        if (found.answer.errorCode !== Code.NONE) {
          if (yield* options.refused(lane, found.answer.errorCode)) inDoubt = true
          continue
        }
        if (isTruncated(found.answer, position)) {
          if (yield* options.truncated(lane, found.answer)) inDoubt = true
        } else validated.set(lane, currentLeaderEpoch)
      }
      return inDoubt
    })
  }
}
