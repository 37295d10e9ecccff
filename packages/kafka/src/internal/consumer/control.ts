/**
 * Control of a running consumer: pause, resume and seek.
 */
import { type Consumer, ControlError, type TopicPartition } from "@spillway/transport/Consumer"
import * as Effect from "effect/Effect"
import type { Cluster } from "../cluster/cluster.js"
import type { Subscription } from "../group/subscription.js"
import type { AssignedPartitions } from "../lane/assignedPartitions.js"
import type { PartitionContext } from "../lane/partition.js"
import type { ConsumerSettings } from "../settings/consumerSettings.js"
import { byPlace, placeOf } from "../topicPartition.js"
import type { Assignment } from "./assignment.js"
import type { Committer } from "./committer.js"
import type { Lifecycle } from "./lifecycle.js"
import * as Pauses from "./pauses.js"
import * as Seek from "./seek.js"

export interface Control extends Pick<Consumer, "pause" | "resume" | "paused" | "seek"> {
  /** Updates the lifecycle: a pause of everything depends on the assignment too. */
  readonly follow: Effect.Effect<void>
}

export const make = (options: {
  readonly settings: ConsumerSettings
  readonly cluster: Cluster
  readonly assignment: Assignment
  readonly partitions: AssignedPartitions
  readonly subscription: Subscription
  readonly committer: Committer
  readonly lifecycle: Lifecycle
  readonly context: Pick<PartitionContext<never>, "buffer" | "isPaused">
  readonly pauses: { current: Pauses.Pauses }
}): Control => {
  const { context, lifecycle, partitions: assignedPartitions, pauses, settings, subscription } = options
  const { groupId } = settings

  const follow = lifecycle.follow(() => (Pauses.isWhole(pauses.current, assignedPartitions.all) ? "Paused" : "Running"))

  const checked = (partitions: ReadonlyArray<TopicPartition>): Effect.Effect<void, ControlError> => {
    const refuse = (field: string, value: unknown, description: string) =>
      Effect.fail(new ControlError({ reason: "InvalidArgument", groupId, field, value, description }))
    for (const [i, { partition, topic }] of partitions.entries()) {
      if (!subscription.includes(topic)) return refuse(`partitions[${i}].topic`, topic, "not consumed")
      if (!Number.isSafeInteger(partition) || partition < 0) {
        return refuse(`partitions[${i}].partition`, partition, "must be a whole number from 0")
      }
    }
    return Effect.void
  }

  const change = (paused: boolean, partitions: ReadonlyArray<TopicPartition> | undefined) =>
    Effect.suspend(() => {
      if (partitions === undefined) pauses.current = paused ? Pauses.all : Pauses.none
      else pauses.current = Pauses.set(pauses.current, partitions, paused)
      for (const assigned of assignedPartitions.all) assigned.setPaused(context.isPaused(assigned))
      context.buffer.room.notify()
      return follow
    })

  function pause(): Effect.Effect<void>
  function pause(partitions: ReadonlyArray<TopicPartition>): Effect.Effect<void, ControlError>
  function pause(partitions?: ReadonlyArray<TopicPartition>): Effect.Effect<void, ControlError> {
    return Effect.zipRight(checked(partitions ?? []), change(true, partitions))
  }

  function resume(): Effect.Effect<void>
  function resume(partitions: ReadonlyArray<TopicPartition>): Effect.Effect<void, ControlError>
  function resume(partitions?: ReadonlyArray<TopicPartition>): Effect.Effect<void, ControlError> {
    return Effect.zipRight(checked(partitions ?? []), change(false, partitions))
  }

  return {
    pause,
    resume,
    paused: Effect.sync(() =>
      byPlace(Array.from(assignedPartitions.all).filter((assigned) => assigned.isPaused())).map(placeOf)
    ),
    seek: Seek.make({
      ...options,
      isRunning: Effect.map(lifecycle.status, (status) => status === "Running" || status === "Paused")
    }),
    follow
  }
}
