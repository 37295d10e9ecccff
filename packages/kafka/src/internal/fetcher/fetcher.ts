/**
 * Reads the owned partitions: one loop for each broker, asking only for lanes that have room, so that one slow lane
 * never holds up another and memory stays within the buffer's bounds.
 */

import type { ConsumerError } from "@spillway/transport/Consumer"
import * as Logging from "@spillway/transport/Logging"
import type { ConsumerMetrics } from "@spillway/transport/TransportMetrics"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as LogLevel from "effect/LogLevel"
import type * as Scope from "effect/Scope"
import { KafkaErrorCode as Code } from "../../KafkaErrorCode.js"
import type { FetchRequest } from "../../Protocol.js"
import type { WireError } from "../../Wire.js"
import { type Cluster, ResponseError } from "../cluster/cluster.js"
import * as Backoff from "../concurrency/backoff.js"
import * as Monotonic from "../concurrency/monotonic.js"
import type { Failure } from "../concurrency/retries.js"
import * as Until from "../concurrency/runUntil.js"
import * as Signal from "../concurrency/signal.js"
import * as Tasks from "../concurrency/tasks.js"
import type { Lane, LaneContext } from "../lane/lane.js"
import * as Turn from "../lane/turn.js"
import type { ConsumerSettings } from "../settings/consumerSettings.js"
import { keyOf } from "../topicPartition.js"
import * as Answers from "./fetchResponse.js"
import * as Validation from "./leaderEpochCheck.js"
import * as LeaderSearch from "./leaderSearch.js"
import * as PartitionFailures from "./partitionFailures.js"
import * as ReadReplica from "./readReplica.js"
import * as Recreated from "./recreatedTopics.js"

/** A long poll may hold up a lane that gets room meanwhile for this long, in milliseconds. */
const busyWaitMs = 50

export interface Fetcher {
  readonly add: (lane: Lane) => void
  readonly remove: (lane: Lane) => void
  /** Whether the lane's topic was deleted, and another created by its name. */
  readonly isGone: (lane: Lane) => boolean
  /** Stops fetching for good; what is parked at a broker is abandoned. */
  readonly stop: Effect.Effect<void>
}

export const make = Effect.fnUntraced(function* (options: {
  readonly cluster: Cluster
  readonly settings: ConsumerSettings
  readonly buffer: LaneContext<never>["buffer"]
  readonly fail: (error: ConsumerError) => Effect.Effect<void>
  readonly metrics: (topic: string) => ConsumerMetrics
  readonly betweenCommits: <A>(effect: Effect.Effect<A>) => Effect.Effect<A>
}): Effect.fn.Return<Fetcher, never, Scope.Scope> {
  const { buffer, cluster, settings } = options
  const lanes = new Set<Lane>()
  const shareBuffer = () => {
    buffer.share = buffer.maxBytes / Math.max(1, lanes.size)
  }
  const changed = Signal.make()
  /** Lanes come one soon after the other: the request after one came doesn't wait, so that the next needn't either. */
  let isSettled = true

  const clock = yield* Effect.clock
  const turn = Turn.of(clock)
  const now = () => Monotonic.millis(clock)
  const failures = PartitionFailures.make({
    now,
    leaderOf: (lane) => cluster.leader(lane.topic, lane.partition),
    retryOf: (lane) => cluster.retries.of("Fetch", keyOf(lane)),
    isOwned: (lane) => lanes.has(lane)
  })
  const lookAgain = () => buffer.room.notify()
  const loops = yield* Tasks.make<number>(() => changed.notify())
  const validations = yield* Tasks.make<number>(lookAgain)
  const restarts = yield* Tasks.make<Lane>(lookAgain)
  const repairs = yield* Tasks.make<Lane>(lookAgain)
  /** The positions at which lanes were when their repairs began. */
  const repairedAt = new WeakMap<Lane, number>()
  /** One that was sought elsewhere needs none. */
  const isRepairing = (lane: Lane) => repairs.isRunning(lane) && repairedAt.get(lane) === lane.position

  /** Has a lane asked for again after a while, and its leader looked for meanwhile. */
  const retry = (lane: Lane, failure: Failure): Effect.Effect<void> =>
    Effect.suspend(() => {
      search.doubt(lane.topic)
      return failures.retry(lane, failure)
    })

  const repair = (lane: Lane, effect: Effect.Effect<void>): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (isRepairing(lane) || !lanes.has(lane)) return Effect.void
      repairs.stop(lane)
      repairedAt.set(lane, lane.position)
      return repairs.start(lane, effect)
    })

  const recreated = Recreated.make(options)
  const answers = Answers.make({ ...options, recreated, retry, repair })
  const validation = Validation.make(cluster, { ...answers, retry })
  const replicas = ReadReplica.make({ expiryMs: settings.metadataIntervalMs, now })

  /** The broker that a lane reads from: only a leader can be asked whether its log is the one that was read before. */
  const brokerOf = (lane: Lane): number | undefined => {
    const leader = cluster.leader(lane.topic, lane.partition)?.leader
    const replica = leader === undefined ? undefined : replicas.of(lane)
    return replica === undefined || validation.isDue(lane) ? leader : replica
  }

  /** Lets the leader be asked again, if the broker isn't it; true if so. */
  const leaveReplica = (lane: Lane, nodeId: number): boolean => {
    const isReplica = replicas.leave(lane, nodeId)
    if (isReplica) changed.notify()
    return isReplica
  }

  const lanesOf = (nodeId: number): Array<Lane> =>
    Array.from(lanes).filter((lane) => lane.isOpen() && brokerOf(lane) === nodeId)

  const search = LeaderSearch.make({
    cluster,
    clock,
    leaderless: () => {
      const topics = new Set<string>()
      for (const lane of lanes) if (lane.isOpen() && brokerOf(lane) === undefined) topics.add(lane.topic)
      return topics
    }
  })

  const requestFor = (ready: ReadonlyArray<Lane>, maxWaitMs: number): FetchRequest => {
    const topics = new Map<string, Array<FetchRequest["topics"][number]["partitions"][number]>>()
    for (const lane of ready) {
      const partitions = topics.get(lane.topic) ?? []
      topics.set(lane.topic, partitions)
      partitions.push({
        partition: lane.partition,
        currentLeaderEpoch: cluster.leader(lane.topic, lane.partition)?.leaderEpoch ?? -1,
        fetchOffset: lane.position,
        maxBytes: settings.maxPartitionBytes
      })
    }
    return {
      maxWaitMs: isSettled ? Math.min(settings.fetchMaxWaitMs, maxWaitMs) : 0,
      minBytes: 1,
      maxBytes: Math.min(settings.fetchMaxBytes, settings.maxBufferedBytes - buffer.bytes),
      isolationLevel: settings.isolationLevel,
      rackId: settings.rackId === null || ready.some(replicas.isLeft) ? "" : settings.rackId,
      topics: Array.from(topics, ([topic, partitions]) => ({
        topic,
        topicId: cluster.topic(topic)?.topicId,
        partitions
      }))
    }
  }

  const fetchOnce = Effect.fnUntraced(function* (nodeId: number, ready: ReadonlyArray<Lane>, maxWaitMs: number) {
    const asked = new Map(ready.map((lane) => [keyOf(lane), { lane, position: lane.position }]))
    const request = requestFor(ready, maxWaitMs)
    isSettled = true
    const response = yield* cluster.request(nodeId, "fetch", "Fetch", request)
    if (response.errorCode !== Code.NONE) {
      return yield* Effect.fail(new ResponseError({ api: "Fetch", code: response.errorCode }))
    }
    for (const { topic, partitions } of response.topics) {
      for (const partition of partitions) {
        // What is unpacked of a response with many partitions takes its time, too.
        if (turn.isOver()) yield* turn.next
        const found = asked.get(keyOf({ topic, partition: partition.partition }))
        if (found === undefined || !lanes.has(found.lane) || found.lane.position !== found.position) continue
        // Another broker has answered for the same position.
        if (found.lane.isUnpacking()) continue
        if (recreated.isGone(found.lane)) continue
        const { lane } = found
        // A follower that lags behind knows less than the leader: what it refuses is the leader's to say.
        if (partition.errorCode !== Code.NONE && leaveReplica(lane, nodeId)) {
          search.doubt(topic)
          continue
        }
        if (partition.preferredReadReplica >= 0) {
          replicas.prefer(lane, partition.preferredReadReplica)
          changed.notify()
        }
        yield* answers.receive(lane, partition)
        if (partition.errorCode !== Code.NONE) continue
        yield* failures.succeeded(lane)
        // Asked for last the next time, so that a full response starves no partition.
        if (partition.records.byteLength > 0 && lanes.delete(lane)) lanes.add(lane)
      }
    }
  })

  /** The broker answers for none of the lanes: their leaders may be others. */
  const unanswered = (nodeId: number, asked: ReadonlyArray<Lane>, cause: WireError | ResponseError) =>
    Effect.suspend(() => {
      for (const lane of lanesOf(nodeId)) {
        leaveReplica(lane, nodeId)
        search.doubt(lane.topic)
      }
      return cause._tag === "WireError" && cause.reason === "Authentication"
        ? answers.failAt(asked[0]!, "Authorization", cause.message, cause)
        : Logging.log(
            LogLevel.Debug,
            "Fetch failed, it will be repeated",
            { groupId: settings.groupId },
            Cause.fail(cause)
          )
    })

  const validate = (nodeId: number, due: ReadonlyArray<Lane>) =>
    validations.start(
      nodeId,
      Effect.catchAll(validation.ask(nodeId, due), (cause) =>
        Effect.zipRight(
          unanswered(nodeId, due, cause),
          Effect.forEach(due, (lane) => retry(lane, cause), { discard: true })
        )
      )
    )

  const loop = Effect.fnUntraced(function* (nodeId: number) {
    const backoff = Backoff.make(50, 1_000)
    while (true) {
      const room = buffer.room.wait()
      const led = lanesOf(nodeId)
      if (led.length === 0) return
      for (const lane of led) yield* answers.broken(lane)
      const at = now()
      const open = led.filter((lane) => !lane.isPaused() && !recreated.isGone(lane))
      const retryMs = Math.min(...open.map((lane) => failures.waitMs(lane, at) || Infinity))
      const wanted = open.filter((lane) => failures.waitMs(lane, at) === 0)
      const askable = wanted.filter((lane) => !isRepairing(lane))
      const behind = askable.filter((lane) => validation.isBehind(lane, at))
      for (const lane of behind) yield* retry(lane, "the leader that is known is one of the past")
      if (behind.length > 0) continue
      const due = askable.filter(validation.isDue)
      if (due.length > 0 && !validations.isRunning(nodeId)) {
        yield* validate(nodeId, due)
        continue
      }
      const ready =
        buffer.bytes < settings.maxBufferedBytes
          ? askable.filter((lane) => lane.hasRoom() && !validation.isDue(lane))
          : []
      if (ready.length === 0) {
        yield* retryMs === Infinity ? room : Until.notified(buffer.room, retryMs, room)
        continue
      }
      const maxWaitMs = Math.min(retryMs, ready.length === wanted.length ? Infinity : busyWaitMs)
      const answered = yield* Effect.either(fetchOnce(nodeId, ready, maxWaitMs))
      if (answered._tag === "Right") {
        backoff.reset()
        continue
      }
      yield* unanswered(nodeId, ready, answered.left)
      for (const lane of ready) yield* failures.note(lane, answered.left)
      yield* backoff.next
    }
  })

  const manage = Effect.gen(function* () {
    while (true) {
      const change = changed.wait()
      for (const lane of lanes) {
        const broker = lane.isOpen() ? brokerOf(lane) : undefined
        if (broker !== undefined) yield* loops.start(broker, loop(broker))
      }
      search.look()
      yield* change
    }
  })

  // Whoever refreshes the metadata: lanes that have a new leader are another loop's from now on.
  const follow = Effect.gen(function* () {
    while (true) {
      yield* cluster.refreshed.wait()
      for (const lane of lanes) {
        if (recreated.isGone(lane)) yield* restarts.start(lane, answers.restart(lane))
      }
      changed.notify()
      buffer.room.notify()
    }
  })
  const fibers = yield* Effect.forEach([follow, manage, search.run], (effect) =>
    Effect.forkScoped(Effect.interruptible(effect))
  )

  return {
    add: (lane) => {
      lanes.add(lane)
      shareBuffer()
      recreated.isGone(lane)
      isSettled = false
      changed.notify()
      buffer.room.notify()
    },
    remove: (lane) => {
      lanes.delete(lane)
      shareBuffer()
      repairs.stop(lane)
      restarts.stop(lane)
      failures.dropped(lane)
      changed.notify()
      buffer.room.notify()
    },
    isGone: recreated.isGone,
    stop: Effect.all(
      [Fiber.interruptAll(fibers), loops.stopAll, validations.stopAll, restarts.stopAll, repairs.stopAll],
      { discard: true }
    )
  }
})
