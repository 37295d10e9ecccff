/**
 * Sends what the lanes hold: requests to each broker with a batch of every lane that it leads and that has one to send,
 * several at a time. A lane's batches are sent again in their order when one of them fails.
 */
import type { Metrics } from "@spillway/transport/TransportMetrics"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { KafkaErrorCode } from "../KafkaErrorCode.js"
import type { ProduceResponse } from "../Protocol.js"
import * as RecordBatch from "../RecordBatch.js"
import type { WireError } from "../Wire.js"
import type { Cluster } from "./cluster.js"
import type { Admission, Gate } from "./producerAdmission.js"
import * as Call from "./producerCall.js"
import * as Failure from "./producerFailure.js"
import * as Lane from "./producerLane.js"
import { type Answer, answersOf, requestOf } from "./producerRequest.js"
import type { ProducerSettings } from "./producerSettings.js"
import type { Topics } from "./producerTopics.js"

/** The most requests in flight to one broker. */
const maxRequests = 5

interface Node {
  readonly id: number
  /** Lanes with a batch to send. */
  offered: Array<Lane.Lane>
  requests: number
}

export interface Options {
  readonly cluster: Cluster
  readonly topics: Topics
  readonly settings: ProducerSettings
  readonly metrics: Metrics
  readonly admission: () => Admission
  readonly run: (effect: Effect.Effect<void>) => void
  /** Milliseconds of the monotonic clock. */
  readonly now: () => number
  /** A batch takes no more records. */
  readonly onTake: (batch: Lane.Batch) => void
  /** A batch has its results. */
  readonly onDone: (batch: Lane.Batch) => void
  /** A broker has nothing to do. */
  readonly onIdle: () => void
}

/** `wake` sends what may be sent of lanes; `rejectAll` fails all that a lane holds. */
export interface Sender extends Gate {
  /** Whether the lane could be sent for at once, with no request in flight to its broker. */
  readonly isIdle: (lane: Lane.Lane) => boolean
}

const unanswered: Failure.Verdict = {
  _tag: "Retry",
  failure: { reason: "Broker", description: "the broker's response left the partition out" },
  unknownTopic: false
}

/** A duplicate that the broker knows no place of is written, too. */
const isWritten = (errorCode: number): boolean =>
  errorCode === KafkaErrorCode.NONE || errorCode === KafkaErrorCode.DUPLICATE_SEQUENCE_NUMBER

export const make = (options: Options): Sender => {
  const { admission, cluster, metrics, now, onDone, onIdle, onTake, run, settings, topics } = options
  const nodes = new Map<number, Node>()

  const nodeOf = (id: number): Node => {
    const known = nodes.get(id)
    if (known !== undefined) return known
    const node: Node = { id, offered: [], requests: 0 }
    nodes.set(id, node)
    return node
  }

  const next = (lane: Lane.Lane): Lane.Batch | undefined => {
    while (true) {
      const batch = Lane.next(lane)
      if (batch === undefined || batch.entries.some((entry) => !entry.settled)) return batch
      // It has left before, and nobody waits for it any more; but a transaction is to know whether it holds it.
      if (admission().transactionalId !== null) return batch
      end(batch)
    }
  }

  /** Queues the lane at its leader, if it has a batch to send. */
  const offer = (lane: Lane.Lane): Node | undefined => {
    if (lane.isOffered || next(lane) === undefined || !admission().admit(lane)) return undefined
    const leader = cluster.leader(lane.topic, lane.partition)
    if (leader === undefined) {
      const exists = cluster.topic(lane.topic)?.partitions.some(({ partition }) => partition === lane.partition)
      const code = exists === true ? KafkaErrorCode.LEADER_NOT_AVAILABLE : KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION
      const verdict = Failure.ofCode(code)
      if (verdict._tag === "Retry") trouble(lane, verdict)
      return undefined
    }
    // What is in flight to the leader before must come back first, lest the new one gets what follows before it.
    if (lane.inFlight > 0 && lane.nodeId !== leader.leader) return undefined
    lane.isOffered = true
    const node = nodeOf(leader.leader)
    node.offered.push(lane)
    return node
  }

  const wake = (lanes: ReadonlyArray<Lane.Lane>): void => {
    const woken = new Set<Node>()
    for (const lane of lanes) {
      const node = offer(lane)
      if (node !== undefined) woken.add(node)
    }
    for (const node of woken) pump(node)
  }

  const pump = (node: Node): void => {
    while (node.requests < maxRequests && node.offered.length > 0) {
      const batches = take(node)
      if (batches.length === 0) return
      node.requests++
      run(exchange(node, batches))
    }
  }

  /** Moves a batch of each lane in flight, as many as one request may hold. */
  const take = (node: Node): ReadonlyArray<Lane.Batch> => {
    const taken: Array<Lane.Batch> = []
    const { offered } = node
    node.offered = []
    let bytes = 0
    for (const lane of offered) {
      const batch = next(lane)
      if (batch !== undefined && taken.length > 0 && bytes + batch.bytes > settings.maxRequestBytes) {
        node.offered.push(lane)
        continue
      }
      lane.isOffered = false
      if (batch === undefined || !admission().admit(lane)) continue
      Lane.take(batch, node.id)
      bytes += batch.bytes
      taken.push(batch)
      onTake(batch)
    }
    return taken
  }

  const exchange = (node: Node, batches: ReadonlyArray<Lane.Batch>): Effect.Effect<void> =>
    Effect.suspend(() =>
      cluster.request(node.id, "data", "Produce", requestOf(batches, settings, admission().transactionalId))
    ).pipe(
      Effect.exit,
      Effect.flatMap((exit) => Effect.sync(() => onAnswer(node, batches, exit)))
    )

  const onAnswer = (
    node: Node,
    batches: ReadonlyArray<Lane.Batch>,
    exit: Exit.Exit<ProduceResponse, WireError>
  ): void => {
    node.requests--
    if (Exit.isSuccess(exit)) settle(batches, exit.value)
    else {
      const verdict = verdictOf(exit.cause)
      for (const batch of batches) conclude(batch, verdict)
    }
    wake(batches.map(({ lane }) => lane))
    pump(node)
    if (node.requests === 0) onIdle()
  }

  const settle = (batches: ReadonlyArray<Lane.Batch>, response: ProduceResponse): void => {
    const answerFor = answersOf(response)
    for (const batch of batches) {
      const answer = answerFor(batch)
      if (answer === undefined) conclude(batch, unanswered)
      else if (isWritten(answer.errorCode)) acknowledge(batch, answer)
      else conclude(batch, Failure.ofCode(answer.errorCode))
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

  /** The batch has its results: its records hold no room any more. */
  const end = (batch: Lane.Batch): void => {
    Lane.remove(batch)
    onDone(batch)
  }

  const reject = (batch: Lane.Batch, failure: Failure.Failure): void => {
    Lane.skip(batch)
    end(batch)
    for (const entry of batch.entries) Call.reject(entry, failure)
    admission().onFailed(failure)
  }

  const rejectAll = (lane: Lane.Lane, failure: Failure.Failure): void => {
    for (const batch of [...lane.batches]) reject(batch, failure)
  }

  const acknowledge = (batch: Lane.Batch, answer: Answer): void => {
    const { lane } = batch
    Lane.land(batch)
    // Brokers write in sequence: what was sent before it is written too, wherever.
    for (const earlier of lane.batches.slice(0, lane.probing)) confirm(earlier, { baseOffset: -1, logAppendTimeMs: -1 })
    lane.probing = 0
    confirm(batch, answer)
    Lane.recovered(lane)
    if (lane.sequence?.isEstablished === false) lane.sequence = { ...lane.sequence, isEstablished: true }
    if (lane.trouble !== undefined) trouble(lane, lane.trouble)
  }

  const confirm = (
    batch: Lane.Batch,
    { baseOffset, logAppendTimeMs }: Pick<Answer, "baseOffset" | "logAppendTimeMs">
  ): void => {
    const { entries, lane } = batch
    const { partition, topic } = lane
    end(batch)
    const counted = metrics.producer({ topic })
    counted.sent(entries.length)
    const at = metrics.enabled ? now() : 0
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[i]!
      if (metrics.enabled) counted.publishDuration((at - entry.call.acceptedAt) / 1_000)
      const timestamp = logAppendTimeMs >= 0 ? logAppendTimeMs : entry.record.timestamp
      Call.acknowledge(entry, { topic, partition, offset: baseOffset < 0 ? -1 : baseOffset + i, timestamp })
    }
  }

  const conclude = (batch: Lane.Batch, verdict: Failure.Verdict): void => {
    const { lane } = batch
    Lane.land(batch)
    switch (verdict._tag) {
      case "Retry":
        trouble(lane, verdict)
        return
      case "OutOfOrder":
        if (lane.batches[0] === batch && admission().transactionalId !== null) {
          reject(batch, verdict.failure)
          break
        }
        Lane.refuse(batch)
        trouble(lane, { _tag: "Retry", failure: verdict.failure, unknownTopic: false })
        return
      case "TooLarge":
        lane.maxBytes = Math.min(lane.maxBytes, Math.max(RecordBatch.batchOverhead, Math.ceil(batch.bytes / 2)))
        if (!Lane.split(batch)) reject(batch, verdict.failure)
        break
      case "BadRecord":
        if (!Lane.split(batch)) reject(batch, verdict.failure)
        break
      case "Fail":
        if (verdict.failure.reason === "Fenced") Lane.fence(lane)
        reject(batch, verdict.failure)
    }
    if (lane.trouble === undefined) Lane.recovered(lane)
    else trouble(lane, lane.trouble)
  }

  /** Sends nothing of the lane until all that is in flight has come back, the cluster was looked at anew, and a while. */
  const trouble = (lane: Lane.Lane, verdict: NonNullable<Lane.Lane["trouble"]>): void => {
    lane.trouble = verdict
    if (lane.inFlight > 0) return
    const { failure, unknownTopic } = verdict
    lane.unknownSince = unknownTopic ? (lane.unknownSince ?? now()) : undefined
    if (lane.unknownSince !== undefined && now() - lane.unknownSince >= settings.unknownTopicTimeoutMs) {
      // Where the topic is gone, what is queued needn't wait for the same answer.
      rejectAll(lane, failure)
      Lane.recovered(lane)
      lane.trouble = undefined
      return
    }
    for (const entry of lane.batches[0]?.entries ?? []) entry.call.trouble = failure
    run(
      lane.backoff.next.pipe(
        Effect.zipRight(Effect.exit(topics.refresh(lane.topic))),
        Effect.zipRight(
          Effect.sync(() => {
            lane.trouble = undefined
            wake([lane])
          })
        )
      )
    )
  }

  return {
    wake,
    rejectAll,
    isIdle: (lane) => {
      if (lane.trouble !== undefined || lane.inFlight > 0) return false
      const leader = cluster.leader(lane.topic, lane.partition)
      return leader === undefined || nodeOf(leader.leader).requests === 0
    }
  }
}
