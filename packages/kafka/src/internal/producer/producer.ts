/**
 * A producer: checks records, hands them to the accumulator, and gives every caller its result.
 */
import { type Producer, ProducerError, type ProducerRecord } from "@spillway/transport/Producer"
import * as Concurrency from "@spillway/transport/runtime/Concurrency"
import { TransportMetrics } from "@spillway/transport/TransportMetrics"
import { TransportTracing } from "@spillway/transport/TransportTracing"
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as FiberSet from "effect/FiberSet"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import { PCGRandom } from "effect/Utils"
import type { Wire } from "../../Wire.js"
import * as Cluster from "../cluster/cluster.js"
import * as Expiry from "../concurrency/expiry.js"
import * as Monotonic from "../concurrency/monotonic.js"
import * as Signal from "../concurrency/signal.js"
import type { ProducerSettings } from "../settings/producerSettings.js"
import * as Accumulator from "./accumulator.js"
import type { Failure } from "./decisions.js"
import * as ProducerHealth from "./health.js"
import * as Intake from "./intake.js"
import * as PartitionQueue from "./partitionQueue.js"
import * as PartitionQueues from "./partitionQueues.js"
import * as PendingSend from "./pendingSend.js"
import * as Readiness from "./readiness.js"
import * as Sender from "./sender.js"
import * as Topics from "./topics.js"

const closedFailure: Failure = { reason: "Closed", description: "the producer is closed" }

/** A producer for one who decides when its records leave, and what becomes of all of them. */
export interface Core {
  readonly producer: Context.Tag.Service<Producer>
  readonly cluster: Cluster.Cluster
  readonly run: (effect: Effect.Effect<void>) => void
  readonly transmit: Readiness.Transmit
  /** Sends at once what was accepted, and ends when all of it has its result, or when the caller stops waiting. */
  readonly flush: (isOver: () => boolean) => Effect.Effect<void>
  /** Fails all that was accepted and has no result yet. */
  readonly discard: (failure: Failure) => void
  /** Ends when nothing is in flight, and forgets what was discarded; under another epoch, sequences start again. */
  readonly reset: (isNewEpoch: boolean) => Effect.Effect<void>
}

export const make = (
  settings: ProducerSettings
): Effect.Effect<Context.Tag.Service<Producer>, never, Wire | Scope.Scope> =>
  Effect.map(
    makeCore(settings, settings.idempotent ? Readiness.idempotent : () => Readiness.free),
    ({ producer }) => producer
  )

export const makeCore = (
  settings: ProducerSettings,
  makeReadiness: (core: Pick<Core, "cluster" | "run" | "transmit" | "discard">) => Readiness.Readiness
): Effect.Effect<Core, never, Wire | Scope.Scope> =>
  Effect.gen(function* () {
    const metrics = yield* TransportMetrics
    const tracing = yield* TransportTracing
    const clock = yield* Effect.clock
    const scheduler = yield* FiberRef.get(FiberRef.currentScheduler)
    const generator = new PCGRandom(yield* Random.nextIntBetween(0, 0x7fffffff))
    const sends = new Set<PendingSend.PendingSend>()
    const now = (): number => Monotonic.millis(clock)
    const changed = Signal.make()
    const gone = Deferred.unsafeMake<never, Failure>(FiberId.none)
    let closing = false

    // Connections and fibers live in a scope of their own, so that they outlast the wait for accepted records.
    const inner = yield* Effect.acquireRelease(Scope.make(), Scope.close)
    const cluster = yield* Scope.extend(Cluster.make, inner)
    const drained = Effect.gen(function* () {
      while (sends.size > 0) yield* changed.wait()
    })
    yield* ProducerHealth.register(cluster, () => {
      const [first] = sends
      const oldest = first && {
        topic: first.records[0]!.topic,
        ageMs: now() - first.acceptedAt,
        lastFailure: first.lastFailure?.description
      }
      return { closing, pending: sends.size, oldest }
    })
    yield* metrics.activeProducer
    const runFork = yield* Scope.extend(FiberSet.makeRuntime<never, void, never>(), inner)
    const run = (effect: Effect.Effect<void>): void => {
      runFork(Effect.interruptible(effect))
    }
    const topics = Topics.make({
      cluster,
      run,
      now,
      maxAgeMs: settings.metadataMaxAgeMs,
      unknownTopicTimeoutMs: settings.unknownTopicTimeoutMs,
      mayForget: (topic) => queues.release(topic, (queue) => readiness.forget(queue))
    })
    const queues = PartitionQueues.make({ cluster, settings, random: () => generator.number() })
    const sender = Sender.make({
      cluster,
      topics,
      settings,
      metrics,
      readiness: () => readiness,
      run,
      now,
      onTake: ({ queue }) => queues.leaveSticky(queue),
      onDone: (batch) => {
        accumulator.release(batch)
        changed.notify()
      },
      onIdle: () => {
        accumulator.turn()
        changed.notify()
      }
    })
    cluster.onMove(() => {
      for (const queue of queues.all()) PartitionQueue.moved(queue)
    })
    const discard = (failure: Failure) => {
      for (const send of sends) abort(send, failure)
      changed.notify()
    }
    const readiness = makeReadiness({ cluster, run, transmit: sender, discard })
    const accumulator = Accumulator.make({ settings, queues, run, scheduler, now, sender })
    const deadlines = Expiry.make<PendingSend.PendingSend>({
      delayMs: settings.deliveryTimeoutMs,
      run,
      now,
      onDue: (send) => abort(send, overdue(send))
    })

    const overdue = ({ lastFailure }: PendingSend.PendingSend): Failure => ({
      reason: "DeliveryTimeout",
      description: `not acknowledged within ${settings.deliveryTimeoutMs} ms${lastFailure === undefined ? "" : `; ${lastFailure.description}`}`,
      cause: lastFailure?.cause
    })

    const accept = (send: PendingSend.PendingSend): void => {
      sends.add(send)
      deadlines.add(send, send.acceptedAt)
    }

    const leave = (send: PendingSend.PendingSend): void => {
      if (!sends.delete(send)) return
      deadlines.delete(send)
      if (sends.size === 0) changed.notify()
    }

    /** Fails every record of the send that has no result yet. */
    const abort = (send: PendingSend.PendingSend, failure: Failure): void => {
      for (const entry of send.entries) {
        if (entry.settled) continue
        PendingSend.reject(entry, failure)
        accumulator.withdraw(entry)
        if (entry.batch?.sent === true) readiness.onFailed(failure)
      }
    }

    /** Gives the send up without a result: its caller was interrupted. */
    const abandon = (send: PendingSend.PendingSend): void => {
      if (send.over) return
      leave(send)
      PendingSend.abandon(send, (entry) => {
        if (entry.batch?.sent === true) metrics.producer(entry).abandoned(1)
        else accumulator.withdraw(entry)
      })
    }

    const begin = Intake.make({
      settings,
      clock,
      cluster,
      topics,
      queues,
      isClosing: () => closing,
      closed: closedFailure,
      accept,
      place: (send) => accumulator.place(send)
    })

    const publish = <A, E>(
      records: ReadonlyArray<ProducerRecord>,
      refuse: Intake.Refuse,
      exitOf: (results: ReadonlyArray<PendingSend.Result>) => Effect.Effect<A, E>
    ): Effect.Effect<A, E> =>
      Effect.async<A, E>((resume) => {
        const send = PendingSend.make(records, now(), (send) => {
          leave(send)
          resume(exitOf(send.results as ReadonlyArray<PendingSend.Result>))
        })
        begin(send, refuse)
        return Effect.sync(() => abandon(send))
      })

    const publishAll = <A, E>(...[records, ...how]: Parameters<typeof publish<ReadonlyArray<A>, E>>) =>
      // The caller may change the array once this runs.
      Effect.suspend(() => {
        const own = Array.from(records)
        return own.length === 0 ? Effect.succeed([]) : publish(own, ...how)
      })

    const partitions = (topic: string): Effect.Effect<number, ProducerError> =>
      Effect.suspend(() => {
        const known = closing ? undefined : topics.known(topic)
        if (known !== undefined) return Effect.succeed(known.partitions.length)
        let lastFailure: Failure | undefined
        const looked = topics.lookup(topic, 0, (failure) => {
          lastFailure = failure
          return true
        })
        const timed = Concurrency.timeoutFail(looked, {
          duration: settings.deliveryTimeoutMs,
          onTimeout: (): Failure => ({
            reason: "DeliveryTimeout",
            description: `no answer within ${settings.deliveryTimeoutMs} ms; ${lastFailure?.description ?? "no broker answered"}`,
            cause: lastFailure?.cause
          })
        })
        return Effect.mapBoth(
          Concurrency.raceFirst(timed, closing ? Effect.fail(closedFailure) : Deferred.await(gone)),
          {
            onFailure: ({ cause, description, reason }) => new ProducerError({ reason, topic, description, cause }),
            onSuccess: (metadata) => metadata.partitions.length
          }
        )
      })

    const producer = tracing.producer({
      send: (record) => publish([record], PendingSend.refuseAll, ([result]) => PendingSend.exitOfOne(result!)),
      sendAll: (records) => publishAll(records, PendingSend.refuseAll, PendingSend.exitOfAll),
      sendAllEither: (records) =>
        publishAll(records, PendingSend.refuse, (results) => Effect.succeed(results.map(PendingSend.eitherOf))),
      partitions
    })

    const until = (condition: () => boolean): Effect.Effect<void> =>
      Effect.suspend(() => (condition() ? Effect.void : Effect.zipRight(changed.wait(), until(condition))))

    yield* Effect.addFinalizer((exit) =>
      Effect.suspend(() => {
        closing = true
        accumulator.flush(true)
        return sends.size === 0
          ? Effect.void
          : Concurrency.timeoutOption(Effect.interruptible(drained), settings.closeTimeoutMs)
      }).pipe(
        Effect.zipRight(
          Effect.suspend(() => {
            discard(closedFailure)
            return Deferred.fail(gone, closedFailure)
          })
        ),
        Effect.zipRight(Scope.close(inner, exit))
      )
    )

    return {
      producer,
      cluster,
      run,
      transmit: sender,
      flush: (isOver) =>
        Effect.zipRight(
          Effect.sync(() => accumulator.flush(true)),
          until(() => isOver() || (sends.size === 0 && queues.all().every(({ batches }) => batches.length === 0)))
        ).pipe(Effect.ensuring(Effect.sync(() => accumulator.flush(closing)))),
      discard,
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
