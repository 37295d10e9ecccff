/**
 * Sends what the lanes hold: one request at a time to each broker, with a batch of every lane that it leads and that
 * has something to send. What arrives meanwhile goes into the next request.
 */
import type { Metrics } from "@spillway/transport/TransportMetrics"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { KafkaErrorCode } from "../KafkaErrorCode.js"
import type { ProduceRequest, ProduceResponse } from "../Protocol.js"
import * as RecordBatch from "../RecordBatch.js"
import type { WireError } from "../Wire.js"
import type { Cluster } from "./cluster.js"
import * as Call from "./producerCall.js"
import * as Failure from "./producerFailure.js"
import * as Lane from "./producerLane.js"
import type { ProducerSettings } from "./producerSettings.js"
import type { Topics } from "./producerTopics.js"

interface Node {
  readonly id: number
  ready: Array<Lane.Lane>
  running: boolean
}

export interface Options {
  readonly cluster: Cluster
  readonly topics: Topics
  readonly settings: ProducerSettings
  readonly metrics: Metrics
  readonly run: (effect: Effect.Effect<void>) => void
  /** Milliseconds of the monotonic clock. */
  readonly now: () => number
  readonly onTake: (lane: Lane.Lane) => void
}

type Answer = ProduceResponse["topics"][number]["partitions"][number]

const unanswered: Failure.Verdict = {
  _tag: "Retry",
  failure: { reason: "Broker", description: "the broker's response left the partition out" },
  unknownTopic: false
}

/** Makes the function that wakes a lane after something was added to its queue. */
export const make = (options: Options): ((lane: Lane.Lane) => void) => {
  const { cluster, metrics, now, onTake, run, settings, topics } = options
  const nodes = new Map<number, Node>()

  const nodeOf = (id: number): Node => {
    const known = nodes.get(id)
    if (known !== undefined) return known
    const node: Node = { id, ready: [], running: false }
    nodes.set(id, node)
    return node
  }

  const dispatch = (lane: Lane.Lane): void => {
    if (!lane.queue.some(Call.isOpen)) {
      lane.queue = []
      lane.busy = false
      return
    }
    const leader = cluster.leader(lane.topic, lane.partition)
    if (leader === undefined) {
      const exists = cluster.topic(lane.topic)?.partitions.some(({ partition }) => partition === lane.partition)
      Lane.take(lane)
      conclude(
        lane,
        Failure.ofCode(
          exists === true ? KafkaErrorCode.LEADER_NOT_AVAILABLE : KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        )
      )
      return
    }
    const node = nodeOf(leader.leader)
    node.ready.push(lane)
    if (node.running) return
    node.running = true
    run(serve(node))
  }

  const retry = (lane: Lane.Lane): void => {
    Lane.putBack(lane)
    run(
      lane.backoff.next.pipe(
        Effect.zipRight(Effect.exit(topics.refresh(lane.topic))),
        Effect.zipRight(Effect.sync(() => dispatch(lane)))
      )
    )
  }

  const rejectBatch = (lane: Lane.Lane, failure: Failure.Failure): void => {
    const { batch } = lane
    Lane.settled(lane)
    for (const entry of batch) Call.reject(entry, failure)
    dispatch(lane)
  }

  const conclude = (lane: Lane.Lane, verdict: Failure.Verdict): void => {
    switch (verdict._tag) {
      case "Retry": {
        lane.unknownSince = verdict.unknownTopic ? (lane.unknownSince ?? now()) : undefined
        if (lane.unknownSince !== undefined && now() - lane.unknownSince >= settings.unknownTopicTimeoutMs) {
          // Where the topic is gone, what is queued needn't wait for the same answer.
          const { queue } = lane
          lane.queue = []
          for (const entry of queue) Call.reject(entry, verdict.failure)
          rejectBatch(lane, verdict.failure)
        } else {
          for (const { call } of lane.batch) call.trouble = verdict.failure
          retry(lane)
        }
        break
      }
      case "TooLarge":
      case "BadRecord": {
        const split = verdict._tag === "TooLarge" ? Lane.splitBytes(lane) : Lane.splitRecords(lane)
        if (split) {
          Lane.putBack(lane)
          dispatch(lane)
        } else rejectBatch(lane, verdict.failure)
        break
      }
      case "Fail":
        rejectBatch(lane, verdict.failure)
    }
  }

  const acknowledge = (lane: Lane.Lane, { baseOffset, logAppendTimeMs }: Answer): void => {
    const { batch, partition, topic } = lane
    const counted = metrics.producer({ topic })
    counted.sent(batch.length)
    const at = metrics.enabled ? now() : 0
    Lane.settled(lane)
    for (let i = 0; i < batch.length; i++) {
      const entry = batch[i]!
      if (metrics.enabled) counted.publishDuration((at - entry.call.acceptedAt) / 1_000)
      Call.acknowledge(entry, {
        topic,
        partition,
        offset: baseOffset + i,
        timestamp: logAppendTimeMs >= 0 ? logAppendTimeMs : entry.record.timestamp
      })
    }
    dispatch(lane)
  }

  /** Takes a batch of each ready lane, as many as one request may hold. */
  const takeBatches = (node: Node): ReadonlyArray<Lane.Lane> => {
    const taken: Array<Lane.Lane> = []
    let bytes = 0
    let seen = 0
    for (; seen < node.ready.length; seen++) {
      if (bytes + settings.maxBatchBytes > settings.maxRequestBytes && taken.length > 0) break
      const lane = node.ready[seen]!
      const size = Lane.take(lane)
      if (size === 0) {
        lane.busy = false
        continue
      }
      onTake(lane)
      bytes += size
      taken.push(lane)
    }
    node.ready.splice(0, seen)
    return taken
  }

  const requestOf = (lanes: ReadonlyArray<Lane.Lane>): ProduceRequest => {
    const byTopic = new Map<string, Array<ProduceRequest["topics"][number]["partitions"][number]>>()
    for (const { batch, partition, topic } of lanes) {
      const records = RecordBatch.encode(
        batch.map((entry) => entry.record),
        { compression: settings.compression }
      )
      const partitions = byTopic.get(topic)
      if (partitions === undefined) byTopic.set(topic, [{ partition, records }])
      else partitions.push({ partition, records })
    }
    return {
      transactionalId: null,
      acks: -1,
      timeoutMs: settings.acknowledgeTimeoutMs,
      topics: Array.from(byTopic, ([topic, partitions]) => ({ topic, partitions }))
    }
  }

  const settle = (lanes: ReadonlyArray<Lane.Lane>, response: ProduceResponse): void => {
    const answers = new Map<string, Answer>()
    for (const { partitions, topic } of response.topics) {
      for (const answer of partitions) answers.set(`${topic}/${answer.partition}`, answer)
    }
    for (const lane of lanes) {
      const answer = answers.get(`${lane.topic}/${lane.partition}`)
      if (answer === undefined) conclude(lane, unanswered)
      else if (answer.errorCode === KafkaErrorCode.NONE) acknowledge(lane, answer)
      else conclude(lane, Failure.ofCode(answer.errorCode))
    }
  }

  const verdictOf = (cause: Cause.Cause<WireError>): Failure.Verdict =>
    Option.match(Cause.failureOption(cause), {
      onSome: Failure.ofWireError,
      onNone: () => ({
        _tag: "Fail",
        failure: { reason: "Broker", description: "sending failed unexpectedly", cause: Cause.squash(cause) }
      })
    })

  const serve = (node: Node): Effect.Effect<void> =>
    Effect.gen(function* () {
      // Lets other fibres that are about to send add to the first request.
      yield* Effect.yieldNow()
      while (node.ready.length > 0) {
        const lanes = takeBatches(node)
        if (lanes.length === 0) continue
        const exit = yield* Effect.exit(
          Effect.suspend(() => cluster.request(node.id, "data", "Produce", requestOf(lanes)))
        )
        if (Exit.isSuccess(exit)) settle(lanes, exit.value)
        else for (const lane of lanes) conclude(lane, verdictOf(exit.cause))
      }
      node.running = false
    })

  return (lane) => {
    if (lane.busy) return
    lane.busy = true
    dispatch(lane)
  }
}
