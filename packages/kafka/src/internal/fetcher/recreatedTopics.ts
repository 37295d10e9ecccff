/**
 * Topics that were deleted and created anew, told by their ids (KIP-516): positions and commits in the old one mean
 * nothing in the new, which is read from its start.
 */

import * as Logging from "@spillway/transport/Logging"
import type { ConsumerMetrics } from "@spillway/transport/TransportMetrics"
import * as Effect from "effect/Effect"
import * as LogLevel from "effect/LogLevel"
import { earliestTimestamp } from "../../Protocol.js"
import type { Cluster, ResponseError } from "../cluster/cluster.js"
import { listOffset } from "../cluster/listOffsets.js"
import type { Lane } from "../lane/lane.js"
import type { ConsumerSettings } from "../settings/consumerSettings.js"

export interface Recreated {
  /** Whether the lane reads a topic that is no more, as far as is known. */
  readonly isGone: (lane: Lane) => boolean
  /** Lets a lane whose topic is gone begin with the new one. */
  readonly restart: (lane: Lane) => Effect.Effect<void, ResponseError>
}

export const make = (options: {
  readonly cluster: Cluster
  readonly settings: Pick<ConsumerSettings, "groupId">
  readonly metrics: (topic: string) => ConsumerMetrics
  /** Runs an effect while no commit is in flight. */
  readonly betweenCommits: <A>(effect: Effect.Effect<A>) => Effect.Effect<A>
}): Recreated => {
  const { betweenCommits, cluster, metrics, settings } = options
  /** The topics that lanes read. */
  const ids = new WeakMap<Lane, string>()
  const restarting = new WeakSet<Lane>()

  const isGone = (lane: Lane): boolean => {
    const now = cluster.topic(lane.topic)?.topicId ?? ""
    if (now === "") return false
    const id = ids.get(lane)
    if (id === undefined) ids.set(lane, now)
    return id !== undefined && id !== now
  }

  const begin = Effect.fnUntraced(function* (lane: Lane) {
    const { partition, position: offset, topic } = lane
    const start = yield* listOffset(cluster, lane, earliestTimestamp)
    const annotations = { groupId: settings.groupId, topic, partition, offset, resumedAt: start }
    yield* Logging.log(LogLevel.Warning, "The topic was created anew: reading it from its start", annotations)
    yield* betweenCommits(
      Effect.sync(() => {
        ids.delete(lane)
        lane.restartAt(start)
      })
    )
    metrics(topic).offsetReset()
  })

  return {
    isGone,
    restart: (lane) =>
      Effect.suspend(() => {
        if (!isGone(lane) || restarting.has(lane)) return Effect.void
        restarting.add(lane)
        return Effect.ensuring(
          begin(lane),
          Effect.sync(() => restarting.delete(lane))
        )
      })
  }
}
