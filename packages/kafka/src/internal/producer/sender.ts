/**
 * Sends what the lanes hold: requests to each broker with a batch of every lane that it leads and that has one to send,
 * several at a time.
 */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import { KafkaErrorCode } from "../../KafkaErrorCode.js"
import type { ProduceResponse } from "../../Protocol.js"
import type { WireError } from "../../Wire.js"
import type { Cluster } from "../cluster/cluster.js"
import * as Failure from "./decisions.js"
import * as Lane from "./partitionQueue.js"
import { requestOf } from "./produceRequest.js"
import * as Outcome from "./produceResponse.js"
import type { Gate } from "./readiness.js"

/** The most requests in flight to one broker. */
const maxRequests = 5

type Batches = ReadonlyArray<Lane.Batch>

interface Node {
  readonly id: number
  /** Lanes with a batch to send. */
  offered: Array<Lane.Lane>
  requests: number
  /** Fibres that wait for batches to send. */
  readonly couriers: Array<(batches: Effect.Effect<Batches>) => void>
}

export interface Options extends Omit<Outcome.Options, "onRecovered" | "retries"> {
  readonly cluster: Cluster
  /** A batch takes no more records. */
  readonly onTake: (batch: Lane.Batch) => void
  /** A broker has nothing to do. */
  readonly onIdle: () => void
}

/** `wake` sends what may be sent of lanes; `rejectAll` fails all that a lane holds. */
export interface Sender extends Gate {
  /** Whether the lane could be sent for at once, with no request in flight to its broker. */
  readonly isIdle: (lane: Lane.Lane) => boolean
}

export const make = (options: Options): Sender => {
  const { admission, cluster, onIdle, onTake, run, settings } = options
  const nodes = new Map<number, Node>()
  const outcome = Outcome.make({ ...options, retries: cluster.retries, onRecovered: (lane) => wake([lane]) })

  const nodeOf = (id: number): Node => {
    const known = nodes.get(id)
    if (known !== undefined) return known
    const node: Node = { id, offered: [], requests: 0, couriers: [] }
    nodes.set(id, node)
    return node
  }

  const next = (lane: Lane.Lane): Lane.Batch | undefined => {
    while (true) {
      const batch = Lane.next(lane)
      if (batch === undefined || batch.entries.some((entry) => !entry.settled)) return batch
      // It has left before, and nobody waits for it any more; but a transaction is to know whether it holds it.
      if (admission().transactionalId !== null) return batch
      outcome.end(batch)
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
      if (verdict._tag === "Retry") outcome.trouble(lane, verdict)
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
      if (node.couriers.length === 0) run(courier(node))
      // Without one, the producer has closed.
      node.couriers.pop()?.(Effect.succeed(batches))
    }
  }

  /** Moves a batch of each lane in flight, as many as one request may hold. */
  const take = (node: Node): Batches => {
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

  /** Carries one request after the other: waking a fibre costs a fifth of what a new one does. */
  const courier = (node: Node): Effect.Effect<void> =>
    Effect.whileLoop({
      while: () => true,
      body: () =>
        Effect.flatMap(
          Effect.async<Batches>((resume) => void node.couriers.push(resume)),
          (batches) => exchange(node, batches)
        ),
      step: () => {}
    })

  const exchange = (node: Node, batches: Batches): Effect.Effect<void> =>
    Effect.suspend(() =>
      cluster.request(node.id, "data", "Produce", requestOf(batches, settings, admission().transactionalId))
    ).pipe(
      Effect.exit,
      Effect.map((exit) => onAnswer(node, batches, exit))
    )

  const onAnswer = (node: Node, batches: Batches, exit: Exit.Exit<ProduceResponse, WireError>): void => {
    node.requests--
    outcome.conclude(batches, exit)
    wake(batches.map(({ lane }) => lane))
    pump(node)
    if (node.requests === 0) onIdle()
  }

  return {
    wake,
    rejectAll: outcome.rejectAll,
    isIdle: (lane) => {
      if (lane.trouble !== undefined || lane.inFlight > 0) return false
      const leader = cluster.leader(lane.topic, lane.partition)
      return leader === undefined || nodeOf(leader.leader).requests === 0
    }
  }
}
