/**
 * Sends the queues' batches: several requests at a time to each broker, with one batch of every ready queue that the
 * broker leads.
 */
import type { Metrics } from "@spillway/transport/runtime/Metrics"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import { KafkaErrorCode } from "../../KafkaErrorCode.js"
import type { ProduceResponse } from "../../Protocol.js"
import type { WireError } from "../../Wire.js"
import type { Cluster } from "../cluster/cluster.js"
import type { ProducerSettings } from "../settings/producerSettings.js"
import * as Decisions from "./decisions.js"
import * as PartitionQueue from "./partitionQueue.js"
import type { PartitionQueues } from "./partitionQueues.js"
import type { Done, Transmit } from "./ports.js"
import { requestOf } from "./produceRequest.js"
import * as ProduceResponses from "./produceResponse.js"
import type { Readiness } from "./readiness.js"
import type { Topics } from "./topics.js"

/** The most requests in flight to one broker. */
const maxRequests = 5

type Batches = ReadonlyArray<PartitionQueue.Batch>

interface Node {
  readonly id: number
  /** Queues with a batch to send. */
  offered: Array<PartitionQueue.PartitionQueue>
  requests: number
  /** Request loops that wait for batches to send. */
  readonly idleLoops: Array<(batches: Effect.Effect<Batches>) => void>
}

export interface Options {
  readonly settings: ProducerSettings
  readonly metrics: Metrics
  readonly cluster: Cluster
  readonly topics: Topics
  readonly queues: PartitionQueues
  readonly readiness: Readiness
  readonly run: (effect: Effect.Effect<void>) => void
  /** Milliseconds of the monotonic clock. */
  readonly now: () => number
  readonly done: Done
}

export const make = (options: Options): Transmit => {
  const { cluster, done, queues, readiness, run, settings } = options
  const nodes = new Map<number, Node>()
  const responses = ProduceResponses.make({ ...options, retries: cluster.retries })

  const nodeOf = (id: number): Node => {
    const known = nodes.get(id)
    if (known !== undefined) return known
    const node: Node = { id, offered: [], requests: 0, idleLoops: [] }
    nodes.set(id, node)
    return node
  }

  const next = (queue: PartitionQueue.PartitionQueue): PartitionQueue.Batch | undefined => {
    while (true) {
      const batch = PartitionQueue.next(queue)
      // A transaction must know whether it includes records that were sent before their callers were interrupted.
      if (batch === undefined || readiness.transactionalId !== null) return batch
      if (!PartitionQueue.isAbandoned(batch)) return batch
      responses.drop(batch)
    }
  }

  /** Offers the queue to its leader, if it has a batch to send. */
  const offer = (queue: PartitionQueue.PartitionQueue): Node | undefined => {
    if (queue.isOffered || next(queue) === undefined || !readiness.mayLeave(queue, transmit)) return undefined
    const leader = cluster.leader(queue.topic, queue.partition)
    if (leader === undefined) {
      const exists = cluster.topic(queue.topic)?.partitions.some(({ partition }) => partition === queue.partition)
      const code = exists === true ? KafkaErrorCode.LEADER_NOT_AVAILABLE : KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION
      const verdict = Decisions.ofCode(code)
      if (verdict._tag === "Retry") responses.pause(queue, verdict)
      return undefined
    }
    // Batches in flight to the previous leader need results first, or the new leader could get later ones before.
    if (queue.inFlight > 0 && queue.nodeId !== leader.leader) return undefined
    PartitionQueue.offer(queue)
    const node = nodeOf(leader.leader)
    node.offered.push(queue)
    return node
  }

  const wake = (queues: ReadonlyArray<PartitionQueue.PartitionQueue>): void => {
    const woken = new Set<Node>()
    for (const queue of queues) {
      const node = offer(queue)
      if (node !== undefined) woken.add(node)
    }
    for (const node of woken) pump(node)
  }

  const pump = (node: Node): void => {
    while (node.requests < maxRequests && node.offered.length > 0) {
      const batches = take(node)
      if (batches.length === 0) return
      node.requests++
      if (node.idleLoops.length === 0) run(requestLoop(node))
      // No item means that the producer has closed.
      node.idleLoops.pop()?.(Effect.succeed(batches))
    }
  }

  /** Moves a batch of each queue in flight, as many as one request may hold. */
  const take = (node: Node): Batches => {
    const taken: Array<PartitionQueue.Batch> = []
    const { offered } = node
    node.offered = []
    let bytes = 0
    for (const queue of offered) {
      const batch = next(queue)
      if (batch !== undefined && taken.length > 0 && bytes + batch.bytes > settings.maxRequestBytes) {
        node.offered.push(queue)
        continue
      }
      PartitionQueue.endOffer(queue)
      if (batch === undefined || !readiness.mayLeave(queue, transmit)) continue
      PartitionQueue.take(batch, node.id)
      bytes += batch.bytes
      taken.push(batch)
      queues.leaveSticky(queue)
    }
    return taken
  }

  /** Sends one request after the other: waking a fiber costs a fifth of what a new one does. */
  const requestLoop = (node: Node): Effect.Effect<void> =>
    Effect.whileLoop({
      while: () => true,
      body: () =>
        Effect.flatMap(
          Effect.async<Batches>((resume) => void node.idleLoops.push(resume)),
          (batches) => exchange(node, batches)
        ),
      step: () => {}
    })

  const exchange = (node: Node, batches: Batches): Effect.Effect<void> =>
    Effect.suspend(() =>
      cluster.request(node.id, "data", "Produce", requestOf(batches, settings, readiness.transactionalId))
    ).pipe(
      Effect.exit,
      Effect.map((exit) => onAnswer(node, batches, exit))
    )

  const onAnswer = (node: Node, batches: Batches, exit: Exit.Exit<ProduceResponse, WireError>): void => {
    node.requests--
    responses.conclude(batches, exit)
    wake(batches.map(({ queue }) => queue))
    pump(node)
    if (node.requests === 0) done.idle()
  }

  const transmit: Transmit = {
    wake,
    rejectAll: responses.rejectAll,
    isIdle: (queue) => {
      if (queue.retrying !== undefined || queue.inFlight > 0) return false
      const leader = cluster.leader(queue.topic, queue.partition)
      return leader === undefined || nodeOf(leader.leader).requests === 0
    }
  }
  done.listen({ resumed: (queue) => wake([queue]) })
  return transmit
}
