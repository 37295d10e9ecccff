/**
 * The lanes of the partitions a member owns: where they start, how they settle, and how they end.
 */
import { ConsumerError, type TopicPartition } from "@spillway/transport/Consumer"
import type { Metrics } from "@spillway/transport/TransportMetrics"
import * as Effect from "effect/Effect"
import { nameOf } from "../KafkaErrorCode.js"
import { earliestTimestamp, latestTimestamp } from "../Protocol.js"
import * as Backoff from "./backoff.js"
import type { Cluster } from "./cluster.js"
import type { Committer } from "./committer.js"
import type { ConsumerSettings } from "./consumerSettings.js"
import type { Fetcher } from "./fetcher.js"
import * as Lane from "./lane.js"
import { listOffset } from "./listOffsets.js"
import * as Decisions from "./membership/decisions.js"
import type { Membership, Ownership } from "./membership.js"

export interface OwnedLanes extends Ownership {
  readonly lanes: ReadonlySet<Lane.Lane>
  /** Whether the lanes are those of the whole assignment: none is being opened or given up. */
  readonly isComplete: () => boolean
  /** Lets every lane look again whether it may start, another one first each time. */
  readonly nudge: () => void
  /** Lets what is in flight settle for up to `timeoutMs`, interrupts the rest, and commits within `commitMs`. */
  readonly drain: (timeoutMs: number, commitMs: number) => Effect.Effect<void>
}

export const make = <R>(options: {
  readonly cluster: Cluster
  readonly settings: ConsumerSettings
  readonly context: Lane.LaneContext<R>
  readonly metrics: Metrics
  readonly committer: Committer
  readonly fetcher: Fetcher
  readonly toCoordinator: Membership["toCoordinator"]
}): Effect.Effect<OwnedLanes, never, R> =>
  Effect.map(Effect.context<R>(), (environment) => {
    const { cluster, committer, context, fetcher, settings } = options
    const { groupId } = settings
    const groupMetrics = options.metrics.group({ groupId })
    const lanes = new Set<Lane.Lane>()
    let complete = false
    /** How many partitions each topic had at the start, if it existed: later ones are read from their start. */
    const initialCounts = new Map<string, number>()

    const committedOffsets = Effect.fnUntraced(function* (partitions: ReadonlyArray<TopicPartition>) {
      const topics = new Map<string, Array<number>>()
      for (const { topic, partition } of partitions) topics.set(topic, [...(topics.get(topic) ?? []), partition])
      const backoff = Backoff.make()
      while (true) {
        const answer = yield* Effect.option(
          options.toCoordinator("group", "OffsetFetch", {
            groupId,
            topics: Array.from(topics, ([topic, partitions]) => ({ topic, partitions }))
          })
        )
        if (answer._tag === "Some") {
          const answers = answer.value.topics.flatMap(({ topic, partitions }) =>
            partitions.map((partition) => ({ topic, ...partition }))
          )
          const code = [answer.value.errorCode, ...answers.map(({ errorCode }) => errorCode)].find((code) => code !== 0)
          if (code === undefined) return new Map(answers.map((found) => [`${found.topic}-${found.partition}`, found]))
          const reaction = Decisions.onOffsetFetch(code)
          if (reaction._tag === "Fatal") {
            const description = `OffsetFetch answered ${nameOf(code)}`
            return yield* Effect.fail(new ConsumerError({ reason: reaction.reason, groupId, description }))
          }
          if (reaction._tag === "FindCoordinator") cluster.forgetCoordinator(groupId)
        }
        yield* backoff.next
      }
    })

    const firstOffset = Effect.fnUntraced(function* (owned: TopicPartition) {
      const isNew = owned.partition >= (initialCounts.get(owned.topic) ?? 0)
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
      for (const topic of settings.topics) {
        if (!initialCounts.has(topic)) initialCounts.set(topic, cluster.topic(topic)?.partitions.length ?? 0)
      }
    }

    const openLane = (start: Lane.Start): Effect.Effect<void> => {
      const metrics = options.metrics.consumer({ topic: start.topic, groupId })
      return Lane.make(context, metrics, options.metrics.enabled, start).pipe(
        Effect.tap((lane) =>
          Effect.sync(() => {
            lanes.add(lane)
            committer.lanes.add(lane)
            fetcher.add(lane)
          })
        ),
        Effect.uninterruptible,
        Effect.provide(environment)
      )
    }

    const open = Effect.fnUntraced(function* (partitions: ReadonlyArray<TopicPartition>) {
      groupMetrics.rebalanced()
      rememberCounts()
      complete = partitions.length === 0
      if (complete) return
      const committed = yield* committedOffsets(partitions)
      const isCommitted = <A extends { readonly offset: number }>(found: A | undefined): found is A =>
        found !== undefined && found.offset >= 0
      yield* Effect.forEach(
        partitions,
        (owned) => {
          const found = committed.get(`${owned.topic}-${owned.partition}`)
          return isCommitted(found)
            ? openLane({ ...owned, position: found.offset, leaderEpoch: found.leaderEpoch, committed: found.offset })
            : Effect.flatMap(firstOffset(owned), (position) =>
                openLane({ ...owned, position, leaderEpoch: -1, committed: -1 })
              )
        },
        // A partition without a leader to ask holds up none of the others.
        { concurrency: "unbounded", discard: true }
      )
      complete = true
      if (!Array.from(committed.values()).every(isCommitted)) yield* committer.once
    })

    const forget = Effect.sync(() => {
      complete = false
      const known = Array.from(lanes)
      for (const lane of known) {
        lanes.delete(lane)
        committer.lanes.delete(lane)
        fetcher.remove(lane)
      }
      return known
    })

    const endEach = (ending: ReadonlyArray<Lane.Lane>) =>
      Effect.forEach(ending, (lane) => lane.end, { concurrency: "unbounded", discard: true })

    const drain = Effect.fnUntraced(function* (timeoutMs: number, commitMs: number) {
      complete = false
      const draining = Array.from(lanes)
      for (const lane of draining) {
        lane.close()
        fetcher.remove(lane)
      }
      yield* Effect.forEach(draining, (lane) => lane.idle, { concurrency: "unbounded", discard: true }).pipe(
        Effect.timeoutOption(timeoutMs)
      )
      yield* endEach(draining)
      yield* Effect.timeoutOption(committer.flush, commitMs)
      yield* forget
    })

    return {
      lanes,
      isComplete: () => complete,
      nudge,
      open,
      drain,
      revoke: drain(settings.revokeTimeoutMs, settings.rebalanceTimeoutMs - settings.revokeTimeoutMs),
      lose: Effect.uninterruptible(Effect.flatMap(forget, endEach)),
      setSessionAlive: (alive) => {
        if (context.gate.open === alive) return
        context.gate.open = alive
        nudge()
      }
    }
  })
