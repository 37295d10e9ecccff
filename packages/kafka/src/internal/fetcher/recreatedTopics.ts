/**
 * Topics that were deleted and recreated, recognized by their ids (KIP-516): positions and commits in the old one mean
 * nothing in the new, which is read from its start.
 */

import * as Logging from "@spillway/transport/runtime/Logging"
import type { ConsumerMetrics } from "@spillway/transport/runtime/Metrics"
import * as Effect from "effect/Effect"
import * as LogLevel from "effect/LogLevel"
import { earliestTimestamp } from "../../Protocol.js"
import type { Cluster, ResponseError } from "../cluster/cluster.js"
import { listOffset } from "../cluster/listOffsets.js"
import type { Partition } from "../lane/partition.js"
import type { ConsumerSettings } from "../settings/consumerSettings.js"

export interface RecreatedTopics {
  /** Remembers the id of the partition's topic, once it is known. */
  readonly note: (assigned: Partition) => void
  /** Whether the partition's topic is known to be deleted. */
  readonly isGone: (assigned: Partition) => boolean
  /** Restarts a partition of a deleted topic at the start of the new one. */
  readonly restart: (assigned: Partition) => Effect.Effect<void, ResponseError>
}

export const make = (options: {
  readonly cluster: Cluster
  readonly settings: Pick<ConsumerSettings, "groupId">
  readonly metrics: (topic: string) => ConsumerMetrics
  /** Runs an effect while no commit is in flight. */
  readonly betweenCommits: <A>(effect: Effect.Effect<A>) => Effect.Effect<A>
}): RecreatedTopics => {
  const { betweenCommits, cluster, metrics, settings } = options
  /** The topics that partitions read. */
  const ids = new WeakMap<Partition, string>()
  const restarting = new WeakSet<Partition>()

  const idNow = ({ topic }: Partition): string => cluster.topic(topic)?.topicId ?? ""

  const note = (assigned: Partition): void => {
    const now = idNow(assigned)
    if (now !== "" && !ids.has(assigned)) ids.set(assigned, now)
  }

  const isGone = (assigned: Partition): boolean => {
    const now = idNow(assigned)
    const id = ids.get(assigned)
    return now !== "" && id !== undefined && id !== now
  }

  const begin = Effect.fnUntraced(function* (assigned: Partition) {
    const { partition, position: offset, topic } = assigned
    const start = yield* listOffset(cluster, assigned, earliestTimestamp)
    const annotations = { groupId: settings.groupId, topic, partition, offset, resumedAt: start }
    yield* Logging.log(
      LogLevel.Warning,
      "The topic was deleted and created again; reading it from its start",
      annotations
    )
    yield* betweenCommits(
      Effect.sync(() => {
        ids.delete(assigned)
        note(assigned)
        assigned.restartAt(start)
      })
    )
    metrics(topic).offsetReset()
  })

  return {
    note,
    isGone,
    restart: (assigned) =>
      Effect.suspend(() => {
        if (!isGone(assigned) || restarting.has(assigned)) return Effect.void
        restarting.add(assigned)
        return Effect.ensuring(
          begin(assigned),
          Effect.sync(() => restarting.delete(assigned))
        )
      })
  }
}
