/**
 * The lanes of the partitions a member owns: where they start, how they settle, and how they end.
 */
import { ConsumerError, type TopicPartition } from "@spillway/transport/Consumer"
import * as Concurrency from "@spillway/transport/runtime/Concurrency"
import type { Metrics } from "@spillway/transport/TransportMetrics"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { earliestTimestamp, latestTimestamp } from "../../Protocol.js"
import type { Cluster } from "../cluster/cluster.js"
import { listOffset } from "../cluster/listOffsets.js"
import * as Completion from "../concurrency/completion.js"
import * as Monotonic from "../concurrency/monotonic.js"
import * as Concurrently from "../concurrency/parallel.js"
import type { Fetcher } from "../fetcher/fetcher.js"
import type { Membership, Ownership } from "../group/membership.js"
import * as StartCounts from "../group/startCounts.js"
import type { Subscription } from "../group/subscription.js"
import * as Gate from "../lane/gate.js"
import * as Lane from "../lane/lane.js"
import type { ConsumerSettings } from "../settings/consumerSettings.js"
import { keyOf } from "../topicPartition.js"
import * as CommittedOffsets from "./committedOffsets.js"
import type { Committer } from "./committer.js"

export interface OwnedLanes extends Ownership {
  readonly lanes: ReadonlySet<Lane.Lane>
  /** Whether the lanes are those of the whole assignment: none is being opened or given up. */
  readonly isComplete: () => boolean
  /** Lets every lane look again whether it may start, another one first each time. */
  readonly nudge: () => void
  /** Lets what is in flight settle for up to `timeoutMs`, interrupts the rest, and commits within the time given then. */
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
  readonly context: Lane.LaneContext<R>
  readonly metrics: Metrics
  readonly committer: Committer
  readonly fetcher: Fetcher
  readonly toCoordinator: Membership["toCoordinator"]
  readonly fail: (error: ConsumerError) => Effect.Effect<void>
  /** Whether the end of a transaction that may yet commit beyond what is committed is waited for (KIP-447). */
  readonly requireStable: boolean
  /** An ownership begins, or has ended: what is left of the one before is of no account any more. */
  readonly onTurn: (partition: TopicPartition) => void
}): Effect.Effect<OwnedLanes, never, R | Scope.Scope> =>
  Effect.map(Effect.context<R | Scope.Scope>(), (environment) => {
    const { cluster, committer, context, fail, fetcher, requireStable, settings } = options
    const { groupId } = settings
    const groupMetrics = options.metrics.group({ groupId })
    const lanes = new Set<Lane.Lane>()
    /** Whether the last assignment is what is owned. */
    let complete = false
    /** Partitions whose lanes are being opened. */
    const opening = new Map<string, Opening>()
    /** How many partitions each topic had at this member's start, if it existed: for when the leader doesn't tell. */
    let initialCounts: Map<string, number> | undefined

    /** Whether a partition came after the group had begun to read its topic: then all of its records are the group's. */
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

    let nudges = 0
    const nudge = () => {
      const all = Array.from(lanes)
      const first = nudges++
      for (let i = 0; i < all.length; i++) all[(first + i) % all.length]!.nudge()
    }

    const rememberCounts = () => {
      initialCounts ??= new Map(
        options.subscription.topics().map((topic) => [topic, cluster.topic(topic)?.partitions.length ?? 0])
      )
    }

    const openLane = (start: Lane.Start): Effect.Effect<void> => {
      const metrics = options.metrics.consumer({ topic: start.topic, groupId })
      return Lane.make(context, metrics, options.metrics.enabled, start).pipe(
        Effect.tap((lane) =>
          Effect.sync(() => {
            options.onTurn(lane)
            lanes.add(lane)
            committer.lanes.add(lane)
            fetcher.add(lane)
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
        return yield* openLane({ ...owned, position, leaderEpoch: -1, committed: -1 })
      }
      yield* openLane({ ...owned, position: offset, leaderEpoch, committed: offset })
    })

    const fork = <A, E>(effect: Effect.Effect<A, E, R | Scope.Scope>) =>
      Effect.provide(Effect.forkScoped(Effect.interruptible(effect)), environment)

    // Each partition opens in a fibre of its own: one without a leader to ask holds up none of the others.
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
      // So that the position that was found holds, whoever goes on from it.
      Effect.zipRight(
        Effect.suspend(() =>
          Array.from(lanes).some(({ committed }) => committed < 0) ? committer.once : Effect.succeed(true)
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

    const forget = (ending: ReadonlyArray<Lane.Lane>) => {
      for (const lane of ending) {
        lanes.delete(lane)
        committer.lanes.delete(lane)
        fetcher.remove(lane)
        options.onTurn(lane)
      }
    }

    /** Starts and fetches nothing more. */
    const halt = (ending: Iterable<Lane.Lane>) => {
      for (const lane of ending) {
        lane.close()
        fetcher.remove(lane)
      }
    }

    const endEach = (ending: ReadonlyArray<Lane.Lane>) =>
      Effect.suspend(() => {
        const busy = ending.filter((lane) => !lane.isIdle())
        return busy.length === 0 ? Effect.void : Effect.asVoid(Concurrently.forEach(busy, (lane) => lane.end))
      })

    const give = Effect.fnUntraced(function* (
      isEnding: (partition: TopicPartition) => boolean,
      timeoutMs: number,
      commitMsAfter: (settledInMs: number) => number
    ) {
      const startedAt = yield* Monotonic.now
      complete = false
      yield* cancel(isEnding)
      const ending = Array.from(lanes).filter(isEnding)
      if (ending.length === 0) return
      halt(ending)
      yield* Concurrency.timeoutOption(
        Effect.forEach(ending, (lane) => lane.idle, { discard: true }),
        timeoutMs
      )
      yield* endEach(ending)
      const settledInMs = (yield* Monotonic.now) - startedAt
      if (committer.isBehind()) yield* Concurrency.timeoutOption(committer.flush, commitMsAfter(settledInMs))
      forget(ending)
    })

    const all = () => true

    return {
      lanes,
      isComplete: () => complete && opening.size === 0,
      owned: () => [...lanes, ...Array.from(opening.values(), ({ owned }) => owned)],
      nudge,
      open,
      opened,
      drain: (timeoutMs, commitMsAfter) => give(all, timeoutMs, commitMsAfter),
      revoke: (partitions) => {
        const revoked = new Set(partitions.map(keyOf))
        return give(
          (partition) => revoked.has(keyOf(partition)),
          settings.revokeTimeoutMs,
          () => settings.rebalanceTimeoutMs - settings.revokeTimeoutMs
        )
      },
      lose: Effect.zipRight(
        cancel(all),
        Effect.suspend(() => {
          const lost = Array.from(lanes)
          complete = false
          forget(lost)
          return endEach(lost)
        })
      ).pipe(Effect.uninterruptible),
      abandon: () => {
        complete = false
        initialCounts = undefined
        committer.lanes.clear()
        halt(lanes)
      },
      setSession: (endsAt, now) => {
        if (Gate.setSession(context.gate, endsAt, now)) nudge()
      }
    }
  })
