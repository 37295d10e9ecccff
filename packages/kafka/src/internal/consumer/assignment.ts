/**
 * The partitions of a member: their start offsets when assigned, and their end when revoked or lost.
 */
import { ConsumerError, type TopicPartition } from "@spillway/transport/Consumer"
import * as Completion from "@spillway/transport/runtime/Completion"
import * as Concurrency from "@spillway/transport/runtime/Concurrency"
import * as Logging from "@spillway/transport/runtime/Logging"
import type { Metrics } from "@spillway/transport/runtime/Metrics"
import * as Monotonic from "@spillway/transport/runtime/Monotonic"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as LogLevel from "effect/LogLevel"
import type * as Scope from "effect/Scope"
import { earliestTimestamp, latestTimestamp } from "../../Protocol.js"
import type { Cluster } from "../cluster/cluster.js"
import { listOffset } from "../cluster/listOffsets.js"
import * as Parallel from "../concurrency/parallel.js"
import type { Member } from "../group/member.js"
import type { RebalanceHandler } from "../group/membership.js"
import * as StartCounts from "../group/startCounts.js"
import type { Subscription } from "../group/subscription.js"
import type { AssignedPartitions } from "../lane/assignedPartitions.js"
import * as Gate from "../lane/gate.js"
import * as Partition from "../lane/partition.js"
import type { ConsumerSettings } from "../settings/consumerSettings.js"
import { keyOf } from "../topicPartition.js"
import * as CommittedOffsets from "./committedOffsets.js"
import type { Committer } from "./committer.js"

export interface Assignment extends RebalanceHandler {
  /** Whether all of the last assignment is open: no partition is being opened or revoked. */
  readonly isComplete: () => boolean
  /** Lets records in flight settle for up to `timeoutMs`, interrupts the rest, then commits within the given time. */
  readonly drain: (timeoutMs: number, commitMsAfter: (settledInMs: number) => number) => Effect.Effect<void>
}

interface Opening {
  readonly owned: TopicPartition
  readonly committed: Completion.Result<CommittedOffsets.Committed, ConsumerError>
  fiber: Fiber.Fiber<void>
}

export const make = <R>(options: {
  readonly cluster: Cluster
  readonly settings: ConsumerSettings
  readonly subscription: Subscription
  readonly context: Partition.PartitionContext<R>
  readonly metrics: Metrics
  readonly committer: Committer
  readonly partitions: AssignedPartitions
  readonly toCoordinator: Member["toCoordinator"]
  readonly fail: (error: ConsumerError) => Effect.Effect<void>
  /** Whether to wait for open transactions that may still commit higher offsets (KIP-447). */
  readonly requireStable: boolean
  /** A partition is assigned, or no longer assigned: results of an earlier assignment no longer count. */
  readonly onReassigned: (partition: TopicPartition) => void
}): Effect.Effect<Assignment, never, R | Scope.Scope> =>
  Effect.map(Effect.context<R | Scope.Scope>(), (environment) => {
    const { cluster, committer, context, fail, partitions: assigned, requireStable, settings } = options
    const { groupId } = settings
    const groupMetrics = options.metrics.group({ groupId })
    /** Whether the partitions belong to the last assignment. */
    let complete = false
    /** Partitions that are being opened. */
    const opening = new Map<string, Opening>()
    /** How many partitions each existing topic had at this member's start. Used if the leader reports no counts. */
    let initialCounts: Map<string, number> | undefined

    /** Whether a partition was added after the group began to read its topic: the group reads all of its records. */
    const isLater = (owned: TopicPartition, startCounts: StartCounts.StartCounts): boolean =>
      cluster.isRecreated(owned.topic) ||
      (StartCounts.isLater(startCounts, owned, cluster.topic(owned.topic)?.topicId ?? "") ??
        owned.partition >= (initialCounts?.get(owned.topic) ?? 0))

    const firstOffset = Effect.fnUntraced(function* (owned: TopicPartition, startCounts: StartCounts.StartCounts) {
      const isNew = isLater(owned, startCounts)
      const timestamp = settings.initialOffset === "latest" && !isNew ? latestTimestamp : earliestTimestamp
      return yield* Effect.mapError(
        listOffset(cluster, owned, timestamp, settings.isolationLevel),
        (cause) => new ConsumerError({ reason: "Authorization", groupId, description: cause.message, cause })
      )
    })

    const rememberCounts = () => {
      initialCounts ??= new Map(
        options.subscription.topics().map((topic) => [topic, cluster.topic(topic)?.partitions.length ?? 0])
      )
    }

    const openAt = (start: Partition.Start): Effect.Effect<void> => {
      const metrics = options.metrics.consumer({ topic: start.topic, groupId })
      return Partition.make(context, metrics, options.metrics.enabled, start).pipe(
        Effect.tap((partition) =>
          Effect.sync(() => {
            options.onReassigned(partition)
            assigned.add(partition)
          })
        ),
        Effect.uninterruptible,
        Effect.provide(environment)
      )
    }

    const openOne = Effect.fnUntraced(function* ({ committed, owned }: Opening, startCounts: StartCounts.StartCounts) {
      const { leaderEpoch, offset } = yield* committed.wait
      if (offset < 0) {
        const position = yield* firstOffset(owned, startCounts)
        return yield* openAt({ ...owned, position, leaderEpoch: -1, committed: -1 })
      }
      yield* openAt({ ...owned, position: offset, leaderEpoch, committed: offset })
    })

    const fork = <A, E>(effect: Effect.Effect<A, E, R | Scope.Scope>) =>
      Effect.provide(Effect.forkScoped(Effect.interruptible(effect)), environment)

    // Each partition opens in its own fiber, so that one without a leader doesn't delay the others.
    const open = Effect.fnUntraced(function* (
      partitions: ReadonlyArray<TopicPartition>,
      startCounts: StartCounts.StartCounts
    ) {
      groupMetrics.rebalanced()
      rememberCounts()
      complete = true
      if (partitions.length === 0) return
      const entries = new Map<string, Opening>()
      for (const owned of partitions) {
        const key = keyOf(owned)
        const entry: Opening = { owned, committed: Completion.make(), fiber: Fiber.void }
        entries.set(key, entry)
        opening.set(key, entry)
        entry.fiber = yield* fork(
          openOne(entry, startCounts).pipe(
            Effect.catchAll(fail),
            Effect.ensuring(Effect.sync(() => opening.delete(key)))
          )
        )
      }
      const finding = CommittedOffsets.find({
        cluster,
        groupId,
        requireStable,
        toCoordinator: options.toCoordinator,
        partitions,
        isWanted: (partition) => opening.get(keyOf(partition)) === entries.get(keyOf(partition)),
        onFound: (partition, committed) => entries.get(keyOf(partition))?.committed.done(Effect.succeed(committed))
      })
      yield* fork(
        Effect.catchAllCause(finding, (cause) =>
          Effect.sync(() => {
            for (const { committed } of entries.values()) committed.done(Effect.failCause(cause))
          })
        )
      )
    })

    const opened = Effect.suspend(() =>
      Effect.forEach(Array.from(opening.values()), ({ fiber }) => Fiber.await(fiber), { discard: true })
    ).pipe(
      // So that the next owner continues at the resolved position.
      Effect.zipRight(
        Effect.suspend(() =>
          Array.from(assigned.all).some(({ committed }) => committed < 0) ? committer.once : Effect.succeed(true)
        )
      ),
      Effect.asVoid
    )

    const cancel = (isEnding: (partition: TopicPartition) => boolean) =>
      Effect.suspend(() =>
        Effect.forEach(
          Array.from(opening.values()).filter(({ owned }) => isEnding(owned)),
          ({ fiber }) => Fiber.interrupt(fiber),
          { discard: true }
        )
      )

    const forget = (ending: ReadonlyArray<Partition.Partition>) => {
      for (const partition of ending) {
        assigned.remove(partition)
        options.onReassigned(partition)
      }
    }

    const abortEach = (ending: ReadonlyArray<Partition.Partition>) =>
      Effect.suspend(() => {
        const busy = ending.filter((partition) => !partition.hasEnded())
        return busy.length === 0 ? Effect.void : Effect.asVoid(Parallel.forEach(busy, ({ abort }) => abort))
      })

    const limited = Logging.limited(Logging.storm)
    const warnOfCutOff = (
      ending: ReadonlyArray<Partition.Partition>,
      limit: { readonly option: string; readonly timeoutMs: number }
    ) =>
      Effect.forEach(
        ending,
        ({ hasEnded, inFlight, partition, topic }) => {
          const record = hasEnded() ? undefined : inFlight()
          if (record === undefined) return Effect.void
          return limited(
            Logging.log(LogLevel.Warning, "A handler did not end in time: its record will be redelivered", {
              groupId,
              topic,
              partition,
              offset: record.offset,
              ...limit
            })
          )
        },
        { discard: true }
      )

    /** Lets the records in flight of partitions settle, commits, and ends the partitions. */
    const end = Effect.fnUntraced(function* (
      isEnding: (partition: TopicPartition) => boolean,
      option: "drainTimeout" | "revokeTimeout",
      timeoutMs: number,
      commitMsAfter: (settledInMs: number) => number
    ) {
      const startedAt = yield* Monotonic.now
      complete = false
      yield* cancel(isEnding)
      const ending = Array.from(assigned.all).filter(isEnding)
      if (ending.length === 0) return
      for (const partition of ending) assigned.close(partition)
      yield* Concurrency.timeoutOption(
        Effect.forEach(ending, ({ ended }) => ended, { discard: true }),
        timeoutMs
      )
      yield* warnOfCutOff(ending, { option, timeoutMs })
      yield* abortEach(ending)
      const settledInMs = (yield* Monotonic.now) - startedAt
      if (committer.isBehind()) yield* Concurrency.timeoutOption(committer.flush, commitMsAfter(settledInMs))
      forget(ending)
    })

    const all = () => true

    return {
      isComplete: () => complete && opening.size === 0,
      owned: () => [...assigned.all, ...Array.from(opening.values(), ({ owned }) => owned)],
      open,
      opened,
      drain: (timeoutMs, commitMsAfter) => end(all, "drainTimeout", timeoutMs, commitMsAfter),
      revoke: (partitions) => {
        const revoked = new Set(partitions.map(keyOf))
        return end(
          (partition) => revoked.has(keyOf(partition)),
          "revokeTimeout",
          settings.revokeTimeoutMs,
          () => settings.rebalanceTimeoutMs - settings.revokeTimeoutMs
        )
      },
      lose: Effect.zipRight(
        cancel(all),
        Effect.suspend(() => {
          const lost = Array.from(assigned.all)
          complete = false
          forget(lost)
          return abortEach(lost)
        })
      ).pipe(Effect.uninterruptible),
      abandon: () => {
        complete = false
        initialCounts = undefined
        assigned.abandonAll()
      },
      setSession: (endsAt, now) => {
        if (Gate.setSession(context.gate, endsAt, now)) assigned.wake()
      }
    }
  })
