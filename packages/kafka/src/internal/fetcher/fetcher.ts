/**
 * Fetches the owned partitions. One loop per broker requests only partitions with room, so that a slow partition never
 * holds up another and memory stays within the buffer's bounds.
 */

import type { ConsumerError } from "@spillway/transport/Consumer"
import * as Logging from "@spillway/transport/runtime/Logging"
import type { ConsumerMetrics } from "@spillway/transport/runtime/Metrics"
import * as Monotonic from "@spillway/transport/runtime/Monotonic"
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
import type { Failure } from "../concurrency/retries.js"
import * as RunUntil from "../concurrency/runUntil.js"
import * as Signal from "../concurrency/signal.js"
import * as Tasks from "../concurrency/tasks.js"
import type { AssignedPartitions } from "../lane/assignedPartitions.js"
import type { Partition, PartitionContext } from "../lane/partition.js"
import * as Turn from "../lane/turn.js"
import type { ConsumerSettings } from "../settings/consumerSettings.js"
import { keyOf } from "../topicPartition.js"
import * as FetchResponse from "./fetchResponse.js"
import * as LeaderEpochCheck from "./leaderEpochCheck.js"
import * as LeaderSearch from "./leaderSearch.js"
import * as PartitionBackoff from "./partitionBackoff.js"
import * as ReadReplica from "./readReplica.js"
import * as RecreatedTopics from "./recreatedTopics.js"

/** How long a long poll may hold up a partition that gets room meanwhile, in milliseconds. */
const busyWaitMs = 50

export interface Fetcher {
  /** Whether the partition's topic was deleted, and another one was created with its name. */
  readonly isGone: (assigned: Partition) => boolean
  /** Stops fetching permanently; parked requests are abandoned. */
  readonly stop: Effect.Effect<void>
}

export const make = Effect.fnUntraced(function* (options: {
  readonly cluster: Cluster
  readonly settings: ConsumerSettings
  readonly partitions: AssignedPartitions
  readonly buffer: PartitionContext<never>["buffer"]
  readonly fail: (error: ConsumerError) => Effect.Effect<void>
  readonly metrics: (topic: string) => ConsumerMetrics
  readonly betweenCommits: <A>(effect: Effect.Effect<A>) => Effect.Effect<A>
}): Effect.fn.Return<Fetcher, never, Scope.Scope> {
  const { buffer, cluster, partitions: assignedPartitions, settings } = options
  const open = () => Array.from(assignedPartitions.all).filter((assigned) => assigned.isOpen())
  const shareBuffer = () => {
    buffer.share = buffer.maxBytes / Math.max(1, open().length)
  }
  /** Partitions with records in a response come last in the next request, so that a full one starves no other. */
  const servedAt = new WeakMap<Partition, number>()
  let served = 0
  const changed = Signal.make()
  /** Partitions are added in quick succession: the request after an addition doesn't wait, so the next one needn't. */
  let isSettled = true

  const clock = yield* Effect.clock
  const turn = Turn.of(clock)
  const now = () => Monotonic.millis(clock)
  const backoffs = PartitionBackoff.make({
    now,
    leaderOf: (assigned) => cluster.leader(assigned.topic, assigned.partition),
    retryOf: (assigned) => cluster.retries.of("Fetch", keyOf(assigned)),
    isOwned: assignedPartitions.isOpen
  })
  const lookAgain = () => buffer.room.notify()
  const loops = yield* Tasks.make<number>(() => changed.notify())
  const epochChecks = yield* Tasks.make<number>(lookAgain)
  const restarts = yield* Tasks.make<Partition>(lookAgain)
  const repairs = yield* Tasks.make<Partition>(lookAgain)
  /** The positions of partitions when their repairs began. */
  const repairedAt = new WeakMap<Partition, number>()
  /** A partition that a seek has moved needs no repair. */
  const isRepairing = (assigned: Partition) =>
    repairs.isRunning(assigned) && repairedAt.get(assigned) === assigned.position

  /** Fetches a partition again after a delay, and looks up its leader meanwhile. */
  const retry = (assigned: Partition, failure: Failure): Effect.Effect<void> =>
    Effect.suspend(() => {
      search.doubt(assigned.topic)
      return backoffs.retry(assigned, failure)
    })

  const repair = (assigned: Partition, effect: Effect.Effect<void>): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (isRepairing(assigned) || !assignedPartitions.isOpen(assigned)) return Effect.void
      repairs.stop(assigned)
      repairedAt.set(assigned, assigned.position)
      return repairs.start(assigned, effect)
    })

  const recreated = RecreatedTopics.make(options)
  const reactions = FetchResponse.make({ ...options, recreated, retry, repair })
  const epochCheck = LeaderEpochCheck.make(cluster, { ...reactions, retry })
  const replicas = ReadReplica.make({ expiryMs: settings.metadataMaxAgeMs, now })

  /** The broker that a partition reads from. Only the leader can validate a position, so a due partition uses it. */
  const brokerOf = (assigned: Partition): number | undefined => {
    const leader = cluster.leader(assigned.topic, assigned.partition)?.leader
    const replica = leader === undefined ? undefined : replicas.of(assigned)
    return replica === undefined || epochCheck.isDue(assigned) ? leader : replica
  }

  /** Returns to the leader if the broker is a replica; true if so. */
  const leaveReplica = (assigned: Partition, nodeId: number): boolean => {
    const isReplica = replicas.leave(assigned, nodeId)
    if (isReplica) changed.notify()
    return isReplica
  }

  const lanesOf = (nodeId: number): Array<Partition> =>
    open()
      .filter((assigned) => brokerOf(assigned) === nodeId)
      .sort((one, other) => (servedAt.get(one) ?? 0) - (servedAt.get(other) ?? 0))

  const search = LeaderSearch.make({
    cluster,
    clock,
    leaderless: () => {
      const topics = new Set<string>()
      for (const assigned of open()) if (brokerOf(assigned) === undefined) topics.add(assigned.topic)
      return topics
    }
  })

  const requestFor = (ready: ReadonlyArray<Partition>, maxWaitMs: number): FetchRequest => {
    const topics = new Map<string, Array<FetchRequest["topics"][number]["partitions"][number]>>()
    for (const assigned of ready) {
      const partitions = topics.get(assigned.topic) ?? []
      topics.set(assigned.topic, partitions)
      partitions.push({
        partition: assigned.partition,
        currentLeaderEpoch: cluster.leader(assigned.topic, assigned.partition)?.leaderEpoch ?? -1,
        fetchOffset: assigned.position,
        maxBytes: settings.fetchMaxPartitionBytes
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

  const fetchOnce = Effect.fnUntraced(function* (nodeId: number, ready: ReadonlyArray<Partition>, maxWaitMs: number) {
    const asked = new Map(ready.map((assigned) => [keyOf(assigned), { assigned, position: assigned.position }]))
    const request = requestFor(ready, maxWaitMs)
    isSettled = true
    const response = yield* cluster.request(nodeId, "fetch", "Fetch", request)
    if (response.errorCode !== Code.NONE) {
      return yield* Effect.fail(new ResponseError({ api: "Fetch", code: response.errorCode }))
    }
    for (const { topic, partitions } of response.topics) {
      for (const partition of partitions) {
        // Unpacking a response of many partitions takes time, too.
        if (turn.isOver()) yield* turn.next
        const found = asked.get(keyOf({ topic, partition: partition.partition }))
        if (found === undefined || !assignedPartitions.isOpen(found.assigned)) continue
        if (found.assigned.position !== found.position) continue
        // Another broker has answered for the same position.
        if (found.assigned.isUnpacking()) continue
        if (recreated.isGone(found.assigned)) continue
        const { assigned } = found
        // A follower may lag behind, so the leader decides on its errors.
        if (partition.errorCode !== Code.NONE && leaveReplica(assigned, nodeId)) {
          search.doubt(topic)
          continue
        }
        if (partition.preferredReadReplica >= 0) {
          replicas.prefer(assigned, partition.preferredReadReplica)
          changed.notify()
        }
        yield* reactions.receive(assigned, partition)
        if (partition.errorCode !== Code.NONE) continue
        yield* backoffs.succeeded(assigned)
        if (partition.records.byteLength > 0) servedAt.set(assigned, ++served)
      }
    }
  })

  /** The request failed for all partitions: they may have new leaders. */
  const unanswered = (nodeId: number, asked: ReadonlyArray<Partition>, cause: WireError | ResponseError) =>
    Effect.suspend(() => {
      for (const assigned of lanesOf(nodeId)) {
        leaveReplica(assigned, nodeId)
        search.doubt(assigned.topic)
      }
      return cause._tag === "WireError" && cause.reason === "Authentication"
        ? reactions.failAt(asked[0]!, "Authorization", cause.message, cause)
        : Logging.log(LogLevel.Debug, "Fetch failed; retrying", { groupId: settings.groupId }, Cause.fail(cause))
    })

  const checkEpochs = (nodeId: number, due: ReadonlyArray<Partition>) =>
    epochChecks.start(
      nodeId,
      Effect.catchAll(epochCheck.ask(nodeId, due), (cause) =>
        Effect.zipRight(
          unanswered(nodeId, due, cause),
          Effect.forEach(due, (assigned) => retry(assigned, cause), { discard: true })
        )
      )
    )

  const loop = Effect.fnUntraced(function* (nodeId: number) {
    const backoff = Backoff.make(50, 1_000)
    while (true) {
      const room = buffer.room.wait()
      const led = lanesOf(nodeId)
      if (led.length === 0) return
      for (const assigned of led) yield* reactions.broken(assigned)
      const at = now()
      const open = led.filter((assigned) => !assigned.isPaused() && !recreated.isGone(assigned))
      const retryMs = Math.min(...open.map((assigned) => backoffs.waitMs(assigned, at) || Infinity))
      const wanted = open.filter((assigned) => backoffs.waitMs(assigned, at) === 0)
      const askable = wanted.filter((assigned) => !isRepairing(assigned))
      const behind = askable.filter((assigned) => epochCheck.isBehind(assigned, at))
      for (const assigned of behind) yield* retry(assigned, "the known leader is outdated")
      if (behind.length > 0) continue
      const due = askable.filter(epochCheck.isDue)
      if (due.length > 0 && !epochChecks.isRunning(nodeId)) {
        yield* checkEpochs(nodeId, due)
        continue
      }
      const ready =
        buffer.bytes < settings.maxBufferedBytes
          ? askable.filter((assigned) => assigned.hasRoom() && !epochCheck.isDue(assigned))
          : []
      if (ready.length === 0) {
        yield* retryMs === Infinity ? room : RunUntil.notified(buffer.room, retryMs, room)
        continue
      }
      const maxWaitMs = Math.min(retryMs, ready.length === wanted.length ? Infinity : busyWaitMs)
      const answered = yield* Effect.either(fetchOnce(nodeId, ready, maxWaitMs))
      if (answered._tag === "Right") {
        backoff.reset()
        continue
      }
      yield* unanswered(nodeId, ready, answered.left)
      for (const assigned of ready) yield* backoffs.note(assigned, answered.left, at)
      yield* backoff.next
    }
  })

  const manage = Effect.gen(function* () {
    while (true) {
      const change = changed.wait()
      for (const assigned of open()) {
        const broker = brokerOf(assigned)
        if (broker !== undefined) yield* loops.start(broker, loop(broker))
      }
      search.look()
      yield* change
    }
  })

  // A partition with a new leader now belongs to another loop.
  const follow = Effect.gen(function* () {
    while (true) {
      yield* cluster.refreshed.wait()
      for (const assigned of open()) {
        recreated.note(assigned)
        if (recreated.isGone(assigned)) yield* restarts.start(assigned, reactions.restart(assigned))
      }
      changed.notify()
      buffer.room.notify()
    }
  })
  const fibers = yield* Effect.forEach([follow, manage, search.run], (effect) =>
    Effect.forkScoped(Effect.interruptible(effect))
  )

  assignedPartitions.follow({
    onAdded: (assigned) => {
      shareBuffer()
      recreated.note(assigned)
      isSettled = false
      changed.notify()
      buffer.room.notify()
    },
    onClosed: (assigned) => {
      shareBuffer()
      repairs.stop(assigned)
      restarts.stop(assigned)
      backoffs.dropped(assigned)
      changed.notify()
      buffer.room.notify()
    }
  })

  return {
    isGone: recreated.isGone,
    stop: Effect.all(
      [Fiber.interruptAll(fibers), loops.stopAll, epochChecks.stopAll, restarts.stopAll, repairs.stopAll],
      { discard: true }
    )
  }
})
