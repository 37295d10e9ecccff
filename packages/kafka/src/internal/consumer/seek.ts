/**
 * Takes owned partitions to another position, all of them or none: the lanes come to rest, begin anew between two
 * commits, and the next commit says so.
 */
import { ControlError, type ControlErrorReason, type TopicPartition } from "@spillway/transport/Consumer"
import type { Position } from "@spillway/transport/Position"
import * as Effect from "effect/Effect"
import { earliestTimestamp, type IsolationLevel, latestTimestamp } from "../../Protocol.js"
import type { Cluster } from "../cluster/cluster.js"
import { listOffset } from "../cluster/listOffsets.js"
import * as Backoff from "../concurrency/backoff.js"
import * as Concurrently from "../concurrency/parallel.js"
import { Handling } from "../lane/currentHandler.js"
import type { Lane } from "../lane/lane.js"
import type { ConsumerSettings } from "../settings/consumerSettings.js"
import { placeOf } from "../topicPartition.js"
import type { OwnedLanes } from "./assignment.js"
import type { Committer } from "./committer.js"

interface Target {
  readonly lane: Lane
  readonly offset: number
}

export type Seek = (
  position: Position,
  partitions?: ReadonlyArray<TopicPartition> | undefined
) => Effect.Effect<void, ControlError>

export const make = (options: {
  readonly settings: ConsumerSettings
  readonly cluster: Cluster
  readonly ownership: OwnedLanes
  readonly committer: Committer
  /** What `Handling` is in the handlers of this consumer. */
  readonly context: object
  readonly isRunning: Effect.Effect<boolean>
}): Seek => {
  const { cluster, committer, ownership, settings } = options
  const { groupId } = settings

  const refuse = (reason: ControlErrorReason, field: string, value: unknown, description: string, cause?: unknown) =>
    new ControlError({ reason, groupId, field, value, description, cause })

  const rebalancing = (lanes: ReadonlyArray<TopicPartition>, description: string) =>
    refuse("Rebalancing", "partitions", lanes.map(placeOf), description)

  const refuseAfterEnd = Effect.filterOrFail(options.isRunning, Boolean, () =>
    refuse("NotRunning", "partitions", Array.from(ownership.lanes, placeOf), "the consumer drains or has ended")
  )

  const lanesOf = (partitions: ReadonlyArray<TopicPartition> | undefined) =>
    Effect.suspend((): Effect.Effect<ReadonlyArray<Lane>, ControlError> => {
      const owned = Array.from(ownership.lanes)
      if (partitions === undefined) {
        return ownership.isComplete()
          ? Effect.succeed(owned)
          : Effect.fail(rebalancing(owned, "a rebalance is on, so it isn't known yet what all partitions are"))
      }
      const found = new Set<Lane>()
      for (const [i, asked] of partitions.entries()) {
        const lane = owned.find(({ partition, topic }) => topic === asked.topic && partition === asked.partition)
        if (lane === undefined) {
          return Effect.fail(
            refuse("NotAssigned", `partitions[${i}]`, placeOf(asked), "not owned by this consumer now")
          )
        }
        found.add(lane)
      }
      return Effect.succeed(Array.from(found))
    })

  const list = (lane: Lane, timestamp: number, isolationLevel?: IsolationLevel) =>
    Effect.mapError(listOffset(cluster, lane, timestamp, isolationLevel), (cause) =>
      refuse("Authorization", "partitions", [placeOf(lane)], cause.message, cause)
    )

  const checked = (position: Position): Effect.Effect<void, ControlError> => {
    if (position._tag !== "Offset" && position._tag !== "Timestamp") return Effect.void
    const [field, value] =
      position._tag === "Offset" ? ["position.offset", position.offset] : ["position.timestamp", position.timestamp]
    return Number.isSafeInteger(value) && value >= 0
      ? Effect.void
      : Effect.fail(refuse("InvalidArgument", field, value, "must be a whole number from 0"))
  }

  const resolve = Effect.fnUntraced(function* (position: Position, lane: Lane) {
    switch (position._tag) {
      case "Beginning":
        return yield* list(lane, earliestTimestamp)
      case "End":
        return yield* list(lane, latestTimestamp, settings.isolationLevel)
      case "Timestamp": {
        const offset = yield* list(lane, position.timestamp)
        return offset >= 0 ? offset : yield* list(lane, latestTimestamp, settings.isolationLevel)
      }
      case "Offset": {
        const [start, end] = yield* Effect.all([list(lane, earliestTimestamp), list(lane, latestTimestamp)])
        if (position.offset >= start && position.offset <= end) return position.offset
        const log = `the log of ${lane.topic}-${lane.partition} starts at ${start} and ends at ${end}`
        return yield* refuse("OffsetOutOfRange", "position.offset", position.offset, log)
      }
    }
  })

  const restart = (targets: ReadonlyArray<Target>) =>
    Effect.suspend(() => {
      const gone = targets.filter(({ lane }) => !lane.isOpen())
      if (gone.length > 0) {
        return Effect.fail(
          rebalancing(
            gone.map(({ lane }) => lane),
            "given up before the new start, nothing was changed"
          )
        )
      }
      for (const { lane, offset } of targets) lane.restartAt(offset)
      return Effect.void
    })

  /** A restarted lane has no commit until its new position, or one beyond it, is acknowledged. */
  const acknowledged = Effect.fnUntraced(function* (lanes: ReadonlyArray<Lane>) {
    const backoff = Backoff.make(50, 500)
    while (true) {
      yield* committer.once
      const waiting = lanes.filter((lane) => lane.committed < 0)
      if (waiting.length === 0) return
      const lost = waiting.filter((lane) => !ownership.lanes.has(lane))
      if (lost.length > 0) return yield* rebalancing(lost, "given up before the new position was committed")
      yield* backoff.next
    }
  })

  return Effect.fnUntraced(function* (position, partitions) {
    yield* checked(position)
    yield* refuseAfterEnd
    const lanes = yield* lanesOf(partitions)
    const targets = yield* Concurrently.forEach(lanes, (lane) =>
      Effect.map(resolve(position, lane), (offset): Target => ({ lane, offset }))
    )
    const inHandler = (yield* Handling) === options.context
    yield* Effect.acquireUseRelease(
      Effect.sync(() => {
        for (const lane of lanes) lane.hold()
      }),
      () =>
        Effect.zipRight(
          inHandler ? Effect.void : Effect.forEach(lanes, (lane) => lane.still, { discard: true }),
          committer.between(restart(targets))
        ),
      () =>
        Effect.sync(() => {
          for (const lane of lanes) lane.release()
        })
    )
    yield* acknowledged(lanes)
  })
}
