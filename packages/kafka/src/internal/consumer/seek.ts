/**
 * Moves assigned partitions to another position, all of them or none. The partitions come to rest, start again between
 * two commits, and the next commit acknowledges the new position.
 */
import { ControlError, type ControlErrorReason, type TopicPartition } from "@spillway/transport/Consumer"
import type { Position } from "@spillway/transport/Position"
import * as Effect from "effect/Effect"
import { earliestTimestamp, type IsolationLevel, latestTimestamp } from "../../Protocol.js"
import type { Cluster } from "../cluster/cluster.js"
import { listOffset } from "../cluster/listOffsets.js"
import * as Backoff from "../concurrency/backoff.js"
import * as Parallel from "../concurrency/parallel.js"
import type { AssignedPartitions } from "../lane/assignedPartitions.js"
import { CurrentHandler } from "../lane/currentHandler.js"
import type { Partition } from "../lane/partition.js"
import type { ConsumerSettings } from "../settings/consumerSettings.js"
import { placeOf } from "../topicPartition.js"
import type { Assignment } from "./assignment.js"
import type { Committer } from "./committer.js"

interface Target {
  readonly assigned: Partition
  readonly offset: number
}

export type Seek = (
  position: Position,
  partitions?: ReadonlyArray<TopicPartition> | undefined
) => Effect.Effect<void, ControlError>

export const make = (options: {
  readonly settings: ConsumerSettings
  readonly cluster: Cluster
  readonly assignment: Assignment
  readonly partitions: AssignedPartitions
  readonly committer: Committer
  /** The value of `CurrentHandler` in this consumer's handlers. */
  readonly context: object
  readonly isRunning: Effect.Effect<boolean>
}): Seek => {
  const { assignment, cluster, committer, partitions: assignedPartitions, settings } = options
  const { groupId } = settings

  const refuse = (reason: ControlErrorReason, field: string, value: unknown, description: string, cause?: unknown) =>
    new ControlError({ reason, groupId, field, value, description, cause })

  const rebalancing = (moving: ReadonlyArray<TopicPartition>, description: string) =>
    refuse("Rebalancing", "partitions", moving.map(placeOf), description)

  const refuseAfterEnd = Effect.filterOrFail(options.isRunning, Boolean, () =>
    refuse("NotRunning", "partitions", Array.from(assignedPartitions.all, placeOf), "the consumer drains or has ended")
  )

  const assignedOf = (partitions: ReadonlyArray<TopicPartition> | undefined) =>
    Effect.suspend((): Effect.Effect<ReadonlyArray<Partition>, ControlError> => {
      const owned = Array.from(assignedPartitions.all)
      if (partitions === undefined) {
        return assignment.isComplete()
          ? Effect.succeed(owned)
          : Effect.fail(rebalancing(owned, "a rebalance is on, so it isn't known yet what all partitions are"))
      }
      const found = new Set<Partition>()
      for (const [i, asked] of partitions.entries()) {
        const assigned = owned.find(({ partition, topic }) => topic === asked.topic && partition === asked.partition)
        if (assigned === undefined) {
          return Effect.fail(
            refuse("NotAssigned", `partitions[${i}]`, placeOf(asked), "not owned by this consumer now")
          )
        }
        found.add(assigned)
      }
      return Effect.succeed(Array.from(found))
    })

  const list = (assigned: Partition, timestamp: number, isolationLevel?: IsolationLevel) =>
    Effect.mapError(listOffset(cluster, assigned, timestamp, isolationLevel), (cause) =>
      refuse("Authorization", "partitions", [placeOf(assigned)], cause.message, cause)
    )

  const checked = (position: Position): Effect.Effect<void, ControlError> => {
    if (position._tag !== "Offset" && position._tag !== "Timestamp") return Effect.void
    const [field, value] =
      position._tag === "Offset" ? ["position.offset", position.offset] : ["position.timestamp", position.timestamp]
    return Number.isSafeInteger(value) && value >= 0
      ? Effect.void
      : Effect.fail(refuse("InvalidArgument", field, value, "must be a whole number from 0"))
  }

  const resolve = Effect.fnUntraced(function* (position: Position, assigned: Partition) {
    switch (position._tag) {
      case "Beginning":
        return yield* list(assigned, earliestTimestamp)
      case "End":
        return yield* list(assigned, latestTimestamp, settings.isolationLevel)
      case "Timestamp": {
        const offset = yield* list(assigned, position.timestamp)
        return offset >= 0 ? offset : yield* list(assigned, latestTimestamp, settings.isolationLevel)
      }
      case "Offset": {
        const [start, end] = yield* Effect.all([list(assigned, earliestTimestamp), list(assigned, latestTimestamp)])
        if (position.offset >= start && position.offset <= end) return position.offset
        const log = `the log of ${assigned.topic}-${assigned.partition} starts at ${start} and ends at ${end}`
        return yield* refuse("OffsetOutOfRange", "position.offset", position.offset, log)
      }
    }
  })

  const restart = (targets: ReadonlyArray<Target>) =>
    Effect.suspend(() => {
      const gone = targets.filter(({ assigned }) => !assigned.isOpen())
      if (gone.length > 0) {
        return Effect.fail(
          rebalancing(
            gone.map(({ assigned }) => assigned),
            "given up before the new start, nothing was changed"
          )
        )
      }
      for (const { assigned, offset } of targets) assigned.restartAt(offset)
      return Effect.void
    })

  /** A restarted partition has no commit until its new position, or one beyond it, is acknowledged. */
  const acknowledged = Effect.fnUntraced(function* (sought: ReadonlyArray<Partition>) {
    const backoff = Backoff.make(50, 500)
    while (true) {
      yield* committer.once
      const waiting = sought.filter((assigned) => assigned.committed < 0)
      if (waiting.length === 0) return
      const lost = waiting.filter((assigned) => !assignedPartitions.all.has(assigned))
      if (lost.length > 0) return yield* rebalancing(lost, "given up before the new position was committed")
      yield* backoff.next
    }
  })

  return Effect.fnUntraced(function* (position, partitions) {
    yield* checked(position)
    yield* refuseAfterEnd
    const targeted = yield* assignedOf(partitions)
    const targets = yield* Parallel.forEach(targeted, (assigned) =>
      Effect.map(resolve(position, assigned), (offset): Target => ({ assigned, offset }))
    )
    const inHandler = (yield* CurrentHandler) === options.context
    yield* Effect.acquireUseRelease(
      Effect.sync(() => {
        for (const assigned of targeted) assigned.hold()
      }),
      () =>
        Effect.zipRight(
          inHandler ? Effect.void : Effect.forEach(targeted, (assigned) => assigned.atRest, { discard: true }),
          committer.between(restart(targets))
        ),
      () =>
        Effect.sync(() => {
          for (const assigned of targeted) assigned.release()
        })
    )
    yield* acknowledged(targeted)
  })
}
