/**
 * Puts a producer's parts together, and the operations of a transaction on all of its records.
 */
import type { Producer } from "@spillway/transport/Producer"
import * as Concurrency from "@spillway/transport/runtime/Concurrency"
import * as Monotonic from "@spillway/transport/runtime/Monotonic"
import { TransportMetrics } from "@spillway/transport/TransportMetrics"
import { TransportTracing } from "@spillway/transport/TransportTracing"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as FiberSet from "effect/FiberSet"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import { PCGRandom } from "effect/Utils"
import type { Wire } from "../../Wire.js"
import * as Cluster from "../cluster/cluster.js"
import * as Signal from "../concurrency/signal.js"
import type { ProducerSettings } from "../settings/producerSettings.js"
import * as Accumulator from "./accumulator.js"
import * as Closing from "./closing.js"
import type { Failure } from "./decisions.js"
import * as ProducerHealth from "./health.js"
import * as Intake from "./intake.js"
import * as PartitionQueue from "./partitionQueue.js"
import * as PartitionQueues from "./partitionQueues.js"
import * as Ports from "./ports.js"
import type { Readiness } from "./readiness.js"
import * as Sender from "./sender.js"
import * as Sends from "./sends.js"
import * as Service from "./service.js"
import * as Topics from "./topics.js"

/** A producer whose owner decides when its records are sent, and may discard them all. */
export interface Core {
  readonly producer: Context.Tag.Service<Producer>
  readonly cluster: Cluster.Cluster
  readonly run: (effect: Effect.Effect<void>) => void
  readonly transmit: Ports.Transmit
  readonly done: Ports.Done
  /** Sends accepted records at once, and ends when all of them have results or the caller stops waiting. */
  readonly flush: (isOver: () => boolean) => Effect.Effect<void>
  /** Fails all accepted records without a result. */
  readonly discard: (failure: Failure) => void
  /** Ends when nothing is in flight, and forgets discarded records; under another epoch, sequences start again. */
  readonly reset: (isNewEpoch: boolean) => Effect.Effect<void>
}

/** The dependencies of readiness. */
export type Foundation = Pick<Core, "cluster" | "run">

/** Connections and fibers have their own scope, so they outlast the wait for accepted records. */
const makeFoundation = Effect.gen(function* () {
  const inner = yield* Effect.acquireRelease(Scope.make(), Scope.close)
  const cluster = yield* Scope.extend(Cluster.make, inner)
  const runFork = yield* Scope.extend(FiberSet.makeRuntime<never, void, never>(), inner)
  const run = (effect: Effect.Effect<void>): void => {
    runFork(Effect.interruptible(effect))
  }
  return { inner, cluster, run }
})

export const make = (
  settings: ProducerSettings,
  makeReadiness: (foundation: Foundation) => Readiness
): Effect.Effect<Core, never, Wire | Scope.Scope> =>
  Effect.gen(function* () {
    const metrics = yield* TransportMetrics
    const tracing = yield* TransportTracing
    const clock = yield* Effect.clock
    const scheduler = yield* FiberRef.get(FiberRef.currentScheduler)
    const generator = new PCGRandom(yield* Random.nextIntBetween(0, 0x7fffffff))
    const now = (): number => Monotonic.millis(clock)
    const { cluster, inner, run } = yield* makeFoundation

    const readiness = makeReadiness({ cluster, run })
    const queues = PartitionQueues.make({ cluster, settings, random: () => generator.number() })
    cluster.onMove(() => {
      for (const queue of queues.all()) PartitionQueue.moved(queue)
    })
    const topics = Topics.make({
      cluster,
      run,
      now,
      maxAgeMs: settings.metadataMaxAgeMs,
      unknownTopicTimeoutMs: settings.unknownTopicTimeoutMs,
      mayForget: (topic) => queues.release(topic, readiness.forget)
    })
    const done = Ports.makeDone()
    const transmit = Sender.make({ cluster, topics, queues, settings, metrics, readiness, run, now, done })
    const accumulator = Accumulator.make({ settings, queues, run, scheduler, now, transmit, done })
    /** Notified when an operation has ended that closing, flushing or resetting may wait for. */
    const changed = Signal.make()
    done.listen({ ended: changed.notify, idle: changed.notify })
    const { deliveryTimeoutMs } = settings
    const sends = Sends.make({ deliveryTimeoutMs, metrics, run, now, done, accumulator, changed })
    const closing = Closing.make()
    const intake = Intake.make({ settings, clock, cluster, topics, queues, closing, sends, accumulator })
    const producer = Service.make({ settings, tracing, topics, sends, intake, closing, now })

    const until = (condition: () => boolean): Effect.Effect<void> =>
      Effect.suspend(() => (condition() ? Effect.void : Effect.zipRight(changed.wait(), until(condition))))

    const close = Effect.suspend(() => {
      closing.begin()
      accumulator.flush(true)
      const drained = until(() => sends.size() === 0)
      return sends.size() === 0
        ? Effect.void
        : Concurrency.timeoutOption(Effect.interruptible(drained), settings.drainTimeoutMs)
    }).pipe(Effect.zipRight(Effect.sync(() => sends.discard(Closing.closed))), Effect.zipRight(closing.end))

    yield* ProducerHealth.register(cluster, () => ({ closing: closing.hasBegun(), ...sends.view() }))
    yield* metrics.activeProducer
    yield* Effect.addFinalizer((exit) => Effect.zipRight(close, Scope.close(inner, exit)))

    return {
      producer,
      cluster,
      run,
      transmit,
      done,
      flush: (isOver) =>
        Effect.zipRight(
          Effect.sync(() => accumulator.flush(true)),
          until(() => isOver() || (sends.size() === 0 && queues.all().every(({ batches }) => batches.length === 0)))
        ).pipe(Effect.ensuring(Effect.sync(() => accumulator.flush(closing.hasBegun())))),
      discard: sends.discard,
      reset: (isNewEpoch) =>
        Effect.map(
          until(() => queues.all().every(({ inFlight }) => inFlight === 0)),
          () => {
            for (const queue of queues.all()) {
              for (const batch of queue.batches) accumulator.release(batch)
              PartitionQueue.reset(queue, isNewEpoch)
            }
          }
        )
    }
  })
