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
import type { Cluster } from "../cluster/cluster.js"
import * as Backoff from "../concurrency/backoff.js"
import * as Monotonic from "../concurrency/monotonic.js"
import * as Signal from "../concurrency/signal.js"
import type { Lane, LaneContext } from "../lane/lane.js"
import type { ConsumerSettings } from "../settings/consumerSettings.js"
import * as Answers from "./fetchResponse.js"
import * as Validation from "./leaderEpochCheck.js"
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
  /** Brokers that are asked. */
  const loops = new Set<number>()
  const changed = Signal.make()
  /** Lanes come one soon after the other: the request after one came doesn't wait, so that the next needn't either. */
  let isSettled = true

  const recreated = Recreated.make(options)
  const answers = Answers.make({ ...options, recreated })
  const validation = Validation.make(cluster, answers)

  const clock = yield* Effect.clock
  const replicas = ReadReplica.make({
    expiryMs: settings.metadataIntervalMs,
    now: () => Monotonic.millis(clock)
  })

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

  const requestFor = (ready: ReadonlyArray<Lane>, all: number): FetchRequest => {
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
      maxWaitMs: isSettled ? Math.min(settings.fetchMaxWaitMs, ready.length === all ? Infinity : busyWaitMs) : 0,
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

  const fetchOnce = Effect.fnUntraced(function* (nodeId: number, all: ReadonlyArray<Lane>, ready: ReadonlyArray<Lane>) {
    const asked = new Map(ready.map((lane) => [`${lane.topic}-${lane.partition}`, { lane, position: lane.position }]))
    const request = requestFor(ready, all.length)
    isSettled = true
    const response = yield* cluster.request(nodeId, "fetch", "Fetch", request)
    let inDoubt = response.errorCode !== Code.NONE
    for (const { topic, partitions } of response.topics) {
      for (const partition of partitions) {
        const found = asked.get(`${topic}-${partition.partition}`)
        if (found === undefined || !lanes.has(found.lane) || found.lane.position !== found.position) continue
        // Another broker has answered for the same position.
        if (found.lane.isUnpacking()) continue
        if (recreated.isGone(found.lane)) continue
        // A follower that lags behind knows less than the leader: what it refuses is the leader's to say.
        if (partition.errorCode !== Code.NONE && leaveReplica(found.lane, nodeId)) {
          inDoubt = true
          continue
        }
        if (partition.preferredReadReplica >= 0) {
          replicas.prefer(found.lane, partition.preferredReadReplica)
          changed.notify()
        }
        if (yield* answers.receive(found.lane, partition)) inDoubt = true
        // Asked for last the next time, so that a full response starves no partition.
        else if (partition.records.byteLength > 0 && lanes.delete(found.lane)) lanes.add(found.lane)
      }
    }
    return inDoubt
  })

  /** Reads for lanes that have room, once what is due was validated; true when the leader's metadata is in doubt. */
  const ask = Effect.fnUntraced(function* (nodeId: number, all: ReadonlyArray<Lane>, ready: ReadonlyArray<Lane>) {
    const now = Monotonic.millis(clock)
    const askable = ready.filter((lane) => !validation.isBehind(lane, now))
    const hasStale = askable.length < ready.length
    if (askable.length === 0) return true
    const due = askable.filter(validation.isDue)
    const inDoubt = yield* due.length > 0 ? validation.ask(nodeId, due) : fetchOnce(nodeId, all, askable)
    return inDoubt || hasStale
  })

  const refresh = Effect.suspend(() => cluster.refresh(Array.from(new Set(Array.from(lanes, (lane) => lane.topic)))))

  const loop = Effect.fnUntraced(function* (nodeId: number) {
    const backoff = Backoff.make(50, 1_000)
    while (true) {
      const led = lanesOf(nodeId)
      if (led.length === 0) return
      for (const lane of led) yield* answers.broken(lane)
      const all = led.filter((lane) => !lane.isPaused() && !recreated.isGone(lane))
      const ready = buffer.bytes < settings.maxBufferedBytes ? all.filter((lane) => lane.hasRoom()) : []
      if (ready.length === 0) {
        yield* buffer.room.wait()
        continue
      }
      const inDoubt = yield* Effect.catchAll(ask(nodeId, all, ready), (cause) => {
        for (const lane of led) leaveReplica(lane, nodeId)
        return Effect.as(
          cause._tag === "WireError" && cause.reason === "Authentication"
            ? answers.failAt(ready[0]!, "Authorization", cause.message, cause)
            : Logging.log(
                LogLevel.Debug,
                "Fetch failed, it will be repeated",
                { groupId: settings.groupId },
                Cause.fail(cause)
              ),
          true
        )
      })
      if (!inDoubt) {
        backoff.reset()
        continue
      }
      yield* backoff.next
      yield* Effect.ignore(refresh)
    }
  })

  const manage = Effect.gen(function* () {
    const backoff = Backoff.make(50, 1_000)
    while (true) {
      const change = changed.wait()
      let leaderless = false
      for (const lane of lanes) {
        if (!lane.isOpen()) continue
        const broker = brokerOf(lane)
        if (broker === undefined) leaderless = true
        else yield* once(loops, broker, loop(broker), changed)
      }
      if (leaderless) {
        yield* Effect.ignore(refresh)
        yield* backoff.next
      } else {
        backoff.reset()
        yield* change
      }
    }
  })

  const restarts = new Set<Lane>()

  // Whoever refreshes the metadata: lanes that have a new leader are another loop's from now on.
  const follow = Effect.gen(function* () {
    while (true) {
      yield* cluster.refreshed.wait()
      for (const lane of lanes) {
        if (recreated.isGone(lane)) yield* once(restarts, lane, answers.restart(lane), buffer.room)
      }
      changed.notify()
      buffer.room.notify()
    }
  })
  const fibers = yield* Effect.forEach([follow, manage], (effect) => Effect.forkScoped(Effect.interruptible(effect)))

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
      changed.notify()
      buffer.room.notify()
    },
    isGone: recreated.isGone,
    stop: Fiber.interruptAll(fibers)
  }
})

/** Runs an effect in a fibre that ends with the present one, unless it runs for the key already; notifies when it has ended. */
const once = <K>(running: Set<K>, key: K, effect: Effect.Effect<void>, ended: Signal.Signal): Effect.Effect<unknown> =>
  Effect.suspend(() => {
    if (running.has(key)) return Effect.void
    running.add(key)
    const end = Effect.sync(() => {
      running.delete(key)
      ended.notify()
    })
    return Effect.fork(Effect.interruptible(Effect.ensuring(effect, end)))
  })
