/**
 * The check of the option `startTimeout`: whether the cluster can be reached, at the addresses that it advertises. With
 * a wrong advertised address a client reaches the bootstrap servers, and no broker after them.
 */
import * as Concurrency from "@spillway/transport/runtime/Concurrency"
import * as Effect from "effect/Effect"
import { KafkaErrorCode as Code } from "../../KafkaErrorCode.js"
import type { Request } from "../../Protocol.js"
import { ClusterUnreachable, Wire, type WireError } from "../../Wire.js"
import * as Backoff from "../concurrency/backoff.js"
import * as Cluster from "./cluster.js"
import { addressOf } from "./connections.js"

/** A group or a transactional id, whose coordinator must answer too. */
export type Coordinated = Pick<Request<"FindCoordinator">, "key" | "keyType">

const pending = new Set<number>([
  Code.COORDINATOR_NOT_AVAILABLE,
  Code.COORDINATOR_LOAD_IN_PROGRESS,
  Code.NOT_COORDINATOR
])

/** Whether a retry may help. The client's own requests report other errors. */
const mayPass = (error: WireError | Cluster.ResponseError): boolean =>
  error._tag === "ResponseError"
    ? pending.has(error.code)
    : error.reason === "ConnectFailed" || error.reason === "Disconnected" || error.reason === "Timeout"

const ask = (cluster: Cluster.Cluster, nodeId: number) => cluster.request(nodeId, "data", "Metadata", { topics: [] })

const askCoordinator = (cluster: Cluster.Cluster, { key, keyType }: Coordinated) =>
  cluster.coordinator(key, keyType).pipe(
    Effect.flatMap((nodeId) => ask(cluster, nodeId)),
    Effect.tapError(() => Effect.sync(() => cluster.forgetCoordinator(key, keyType)))
  )

/** Fails with the last broker's error if none answers. */
const askAny = Effect.fnUntraced(function* (
  cluster: Cluster.Cluster
): Effect.fn.Return<unknown, WireError | Cluster.ResponseError> {
  const nodeIds = cluster.nodeIds()
  for (const nodeId of nodeIds.slice(0, -1)) {
    const answered = yield* Effect.either(ask(cluster, nodeId))
    if (answered._tag === "Right" || !mayPass(answered.left)) return
  }
  return yield* ask(cluster, nodeIds.at(-1)!)
})

/**
 * Ends when a broker and the coordinators have answered, or when they refuse in a way that a retry doesn't change. Does
 * nothing without a time limit.
 */
export const within = (
  timeoutMs: number | undefined,
  coordinated: ReadonlyArray<Coordinated> = []
): Effect.Effect<void, ClusterUnreachable, Wire> =>
  timeoutMs === undefined ? Effect.void : Effect.scoped(reach(timeoutMs, coordinated))

const reach = Effect.fnUntraced(function* (timeoutMs: number, coordinated: ReadonlyArray<Coordinated>) {
  const wire = yield* Wire
  const cluster = yield* Cluster.make
  let last: WireError | Cluster.ResponseError | undefined
  const attempt = Effect.gen(function* () {
    yield* cluster.refresh([])
    if (coordinated.length === 0) yield* askAny(cluster)
    for (const one of coordinated) yield* askCoordinator(cluster, one)
  })
  const untilReached = Effect.gen(function* () {
    const backoff = Backoff.make()
    while (true) {
      const attempted = yield* Effect.either(attempt)
      if (attempted._tag === "Right" || !mayPass(attempted.left)) return
      last = attempted.left
      yield* backoff.next
    }
  })
  yield* Concurrency.timeoutFail(untilReached, {
    duration: timeoutMs,
    onTimeout: () =>
      new ClusterUnreachable({
        reason: "StartTimeout",
        brokers: Array.from(new Set([...wire.bootstrap.map(addressOf), ...cluster.reachability().brokers])),
        timeoutMs,
        description: last?.message ?? "no broker answered",
        cause: last
      })
  })
})
