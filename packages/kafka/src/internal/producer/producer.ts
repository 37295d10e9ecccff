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
import * as Lane from "./partitionQueue.js"
import * as Lanes from "./partitionQueues.js"
import * as Call from "./pendingSend.js"
import * as Admission from "./readiness.js"
import * as Sender from "./sender.js"
import * as Topics from "./topics.js"

const closedFailure: Failure = { reason: "Closed", description: "the producer is closed" }

/** A producer for one who decides when its records leave, and what becomes of all of them. */
export interface Core {
  readonly producer: Context.Tag.Service<Producer>
  readonly cluster: Cluster.Cluster
  readonly run: (effect: Effect.Effect<void>) => void
  readonly gate: Admission.Gate
  /** Sends at once what was accepted, and ends when all of it has its result, or when nobody is to wait any more. */
  readonly flush: (isOver: () => boolean) => Effect.Effect<void>
  /** Fails all that was accepted and has no result yet. */
  readonly discard: (failure: Failure) => void
  /** Ends when nothing is in flight, and forgets what was discarded; under another epoch, sequences begin anew. */
  readonly reset: (isNewEpoch: boolean) => Effect.Effect<void>
}

export const make = (
  settings: ProducerSettings
): Effect.Effect<Context.Tag.Service<Producer>, never, Wire | Scope.Scope> =>
  Effect.map(
    makeCore(settings, settings.idempotent ? Admission.idempotent : () => Admission.free),
    ({ producer }) => producer
  )

export const makeCore = (
  settings: ProducerSettings,
  makeAdmission: (core: Pick<Core, "cluster" | "run" | "gate" | "discard">) => Admission.Admission
): Effect.Effect<Core, never, Wire | Scope.Scope> =>
  Effect.gen(function* () {
    const metrics = yield* TransportMetrics
    const tracing = yield* TransportTracing
    const clock = yield* Effect.clock
    const scheduler = yield* FiberRef.get(FiberRef.currentScheduler)
    const generator = new PCGRandom(yield* Random.nextIntBetween(0, 0x7fffffff))
    const calls = new Set<Call.Call>()
    const now = (): number => Monotonic.millis(clock)
    const changed = Signal.make()
    const gone = Deferred.unsafeMake<never, Failure>(FiberId.none)
    let closing = false

    // Connections and fibres live in a scope of their own, so that they outlast the wait for what was accepted.
    const inner = yield* Effect.acquireRelease(Scope.make(), Scope.close)
    const cluster = yield* Scope.extend(Cluster.make, inner)
    const drained = Effect.gen(function* () {
      while (calls.size > 0) yield* changed.wait()
    })
    yield* ProducerHealth.register(cluster, () => {
      const [first] = calls
      const oldest = first && {
        topic: first.records[0]!.topic,
        ageMs: now() - first.acceptedAt,
        trouble: first.trouble?.description
      }
      return { closing, pending: calls.size, oldest }
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
      mayForget: (topic) => lanes.release(topic, (lane) => admission.forget(lane))
    })
    const lanes = Lanes.make({ cluster, settings, random: () => generator.number() })
    const sender = Sender.make({
      cluster,
      topics,
      settings,
      metrics,
      admission: () => admission,
      run,
      now,
      onTake: ({ lane }) => lanes.spend(lane),
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
      for (const lane of lanes.all()) Lane.move(lane)
    })
    const discard = (failure: Failure) => {
      for (const call of calls) abort(call, failure)
      changed.notify()
    }
    const admission = makeAdmission({ cluster, run, gate: sender, discard })
    const accumulator = Accumulator.make({ settings, lanes, run, scheduler, now, sender })
    const deadlines = Expiry.make<Call.Call>({
      delayMs: settings.deliveryTimeoutMs,
      run,
      now,
      onDue: (call) => abort(call, overdue(call))
    })

    const overdue = ({ trouble }: Call.Call): Failure => ({
      reason: "DeliveryTimeout",
      description: `not acknowledged within ${settings.deliveryTimeoutMs} ms${trouble === undefined ? "" : `; ${trouble.description}`}`,
      cause: trouble?.cause
    })

    const accept = (call: Call.Call): void => {
      calls.add(call)
      deadlines.add(call, call.acceptedAt)
    }

    const leave = (call: Call.Call): void => {
      if (!calls.delete(call)) return
      deadlines.delete(call)
      if (calls.size === 0) changed.notify()
    }

    /** Fails every record of the call that has no result yet. */
    const abort = (call: Call.Call, failure: Failure): void => {
      for (const entry of call.entries) {
        if (entry.settled) continue
        Call.reject(entry, failure)
        accumulator.withdraw(entry)
        if (entry.batch?.sent === true) admission.onFailed(failure)
      }
    }

    /** Gives the call up without a result: its caller was interrupted. */
    const abandon = (call: Call.Call): void => {
      if (call.over) return
      call.over = true
      leave(call)
      for (const entry of call.entries) {
        if (entry.settled) continue
        entry.settled = true
        if (entry.batch?.sent === true) metrics.producer(entry).abandoned(1)
        else accumulator.withdraw(entry)
      }
    }

    const begin = Intake.make({
      settings,
      clock,
      cluster,
      topics,
      lanes,
      isClosing: () => closing,
      closed: closedFailure,
      accept,
      place: (call) => accumulator.place(call)
    })

    const publish = <A, E>(
      records: ReadonlyArray<ProducerRecord>,
      refuse: Intake.Refuse,
      exitOf: (results: ReadonlyArray<Call.Result>) => Effect.Effect<A, E>
    ): Effect.Effect<A, E> =>
      Effect.async<A, E>((resume) => {
        const call = Call.make(records, now(), (call) => {
          leave(call)
          resume(exitOf(call.results as ReadonlyArray<Call.Result>))
        })
        begin(call, refuse)
        return Effect.sync(() => abandon(call))
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
        let trouble: Failure | undefined
        const looked = topics.lookup(topic, 0, (failure) => {
          trouble = failure
          return true
        })
        const timed = Concurrency.timeoutFail(looked, {
          duration: settings.deliveryTimeoutMs,
          onTimeout: (): Failure => ({
            reason: "DeliveryTimeout",
            description: `no answer within ${settings.deliveryTimeoutMs} ms; ${trouble?.description ?? "no broker answered"}`,
            cause: trouble?.cause
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
      send: (record) => publish([record], Call.refuseAll, ([result]) => Call.exitOfOne(result!)),
      sendAll: (records) => publishAll(records, Call.refuseAll, Call.exitOfAll),
      sendAllEither: (records) =>
        publishAll(records, Call.refuse, (results) => Effect.succeed(results.map(Call.eitherOf))),
      partitions
    })

    const until = (condition: () => boolean): Effect.Effect<void> =>
      Effect.suspend(() => (condition() ? Effect.void : Effect.zipRight(changed.wait(), until(condition))))

    yield* Effect.addFinalizer((exit) =>
      Effect.suspend(() => {
        closing = true
        accumulator.flush(true)
        return calls.size === 0
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
      gate: sender,
      flush: (isOver) =>
        Effect.zipRight(
          Effect.sync(() => accumulator.flush(true)),
          until(() => isOver() || (calls.size === 0 && lanes.all().every(({ batches }) => batches.length === 0)))
        ).pipe(Effect.ensuring(Effect.sync(() => accumulator.flush(closing)))),
      discard,
      reset: (isNewEpoch) =>
        Effect.map(
          until(() => lanes.all().every(({ inFlight }) => inFlight === 0)),
          () => {
            for (const lane of lanes.all()) {
              for (const batch of lane.batches) accumulator.release(batch)
              Lane.reset(lane, isNewEpoch)
            }
          }
        )
    }
  })
