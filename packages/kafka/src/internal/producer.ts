/**
 * A producer: checks records, hands them to the accumulator, and gives every caller its result.
 */
import { type Producer, ProducerError, type ProducerRecord, type RecordMetadata } from "@spillway/transport/Producer"
import { TransportMetrics } from "@spillway/transport/TransportMetrics"
import { TransportTracing } from "@spillway/transport/TransportTracing"
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FiberId from "effect/FiberId"
import * as FiberSet from "effect/FiberSet"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import { PCGRandom } from "effect/Utils"
import type { TopicMetadata } from "../Protocol.js"
import type { Wire } from "../Wire.js"
import * as Cluster from "./cluster.js"
import * as Expiry from "./expiry.js"
import * as ProducerHealth from "./health/producer.js"
import * as Accumulator from "./producerAccumulator.js"
import * as Call from "./producerCall.js"
import type { Failure } from "./producerFailure.js"
import * as Lanes from "./producerLanes.js"
import * as Record from "./producerRecord.js"
import * as Sender from "./producerSender.js"
import type { ProducerSettings } from "./producerSettings.js"
import * as Topics from "./producerTopics.js"
import * as Signal from "./signal.js"

const closedFailure: Failure = { reason: "Closed", description: "the producer is closed" }

/** Fails a record that was found invalid before it was sent: alone, or all of its call with it. */
type Refuse = (call: Call.Call, index: number, failure: Failure) => void

export const make = (
  settings: ProducerSettings
): Effect.Effect<Context.Tag.Service<Producer>, never, Wire | Scope.Scope> =>
  Effect.gen(function* () {
    const metrics = yield* TransportMetrics
    const tracing = yield* TransportTracing
    const clock = yield* Effect.clock
    const generator = new PCGRandom(yield* Random.nextIntBetween(0, 0x7fffffff))
    const calls = new Set<Call.Call>()
    const now = (): number => Number(clock.unsafeCurrentTimeNanos()) / 1e6
    const changed = Signal.make()
    const gone = Deferred.unsafeMake<never, Failure>(FiberId.none)
    let closing = false

    // Connections and fibres live in a scope of their own, so that they outlast the wait for what was accepted.
    const inner = yield* Scope.make()
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
    yield* Effect.addFinalizer((exit) =>
      Effect.suspend(() => {
        closing = true
        accumulator.flush()
        return drained.pipe(Effect.interruptible, Effect.timeoutOption(settings.closeTimeoutMs))
      }).pipe(
        Effect.zipRight(
          Effect.suspend(() => {
            for (const call of calls) abort(call, closedFailure)
            return Deferred.fail(gone, closedFailure)
          })
        ),
        Effect.zipRight(Scope.close(inner, exit))
      )
    )
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
      unknownTopicTimeoutMs: settings.unknownTopicTimeoutMs
    })
    const lanes = Lanes.make({ cluster, settings, random: () => generator.number() })
    const sender = Sender.make({
      cluster,
      topics,
      settings,
      metrics,
      run,
      now,
      onTake: ({ lane }) => lanes.spend(lane),
      onDone: (batch) => accumulator.release(batch),
      onIdle: () => accumulator.turn()
    })
    const accumulator = Accumulator.make({ settings, lanes, run, now, sender })
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

    /** Makes the call's entries, with their fields as bytes. */
    const prepare = (call: Call.Call, refuse: Refuse): void => {
      const { records } = call
      const timestamp = Math.floor(clock.unsafeCurrentTimeMillis())
      for (let index = 0; index < records.length && !call.over; index++) {
        const given = records[index]!
        const record = Record.prepare(given, timestamp)
        const size = "reason" in record ? record : Record.sizeOf(record, settings.maxBatchBytes)
        if ("reason" in record || typeof size === "object") refuse(call, index, size as Failure)
        else {
          const { topic } = given
          call.entries.push({ call, index, topic, partition: -1, record, size, batch: undefined, settled: false })
        }
      }
    }

    /** The topics that too little is known of. */
    const missingOf = (call: Call.Call): ReadonlySet<string> | undefined => {
      let missing: Set<string> | undefined
      let last: string | undefined
      let known: TopicMetadata | undefined
      for (const { index, topic } of call.entries) {
        if (topic !== last) known = topics.isAwaited(topic) ? undefined : topics.known(topic)
        last = topic
        const { partition } = call.records[index]!
        // A partition that isn't known may have been added since.
        if (known === undefined || (partition !== undefined && partition >= known.partitions.length)) {
          missing ??= new Set()
          missing.add(topic)
        }
      }
      return missing
    }

    const lookUp = (call: Call.Call, missing: ReadonlySet<string>, refuse: Refuse): void => {
      let left = missing.size
      for (const topic of missing) {
        topics.await(topic, {
          isOver: () => call.over,
          onTrouble: (trouble) => {
            call.trouble = trouble
          },
          onEnd: (failure) => {
            if (failure !== undefined) refuseTopic(call, topic, refuse, failure)
            if (--left === 0) enqueue(call, refuse)
          }
        })
      }
    }

    const refuseTopic = (call: Call.Call, topic: string, refuse: Refuse, failure: Failure): void => {
      for (const entry of call.entries) {
        if (entry.topic !== topic || entry.settled || call.over) continue
        entry.settled = true
        refuse(call, entry.index, failure)
      }
    }

    /** Chooses the partitions, then adds all records to their lanes. */
    const enqueue = (call: Call.Call, refuse: Refuse): void => {
      let last: string | undefined
      let metadata: TopicMetadata | undefined
      for (const entry of call.entries) {
        if (call.over) return
        if (entry.settled) continue
        if (entry.topic !== last) metadata = cluster.topic(entry.topic)
        last = entry.topic
        const partition: number | Failure =
          metadata === undefined
            ? { reason: "UnknownTopic", description: "the topic is no longer known" }
            : lanes.partitionOf(call.records[entry.index]!, entry.record, metadata)
        if (typeof partition === "number") entry.partition = partition
        else {
          entry.settled = true
          refuse(call, entry.index, partition)
        }
      }
      if (!call.over) accumulator.place(call)
    }

    const begin = (call: Call.Call, refuse: Refuse): void => {
      if (closing) {
        for (let index = 0; index < call.records.length && !call.over; index++) refuse(call, index, closedFailure)
      } else prepare(call, refuse)
      if (call.over) return
      accept(call)
      const missing = missingOf(call)
      if (missing === undefined) enqueue(call, refuse)
      else lookUp(call, missing, refuse)
    }

    const publish = <A, E>(
      records: ReadonlyArray<ProducerRecord>,
      refuse: Refuse,
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
      records.length === 0 ? Effect.succeed([]) : publish(records, ...how)

    const partitions = (topic: string): Effect.Effect<number, ProducerError> =>
      Effect.suspend(() => {
        const known = closing ? undefined : topics.known(topic)
        if (known !== undefined) return Effect.succeed(known.partitions.length)
        let trouble: Failure | undefined
        const looked = topics.lookup(topic, 0, (failure) => {
          trouble = failure
          return true
        })
        return looked.pipe(
          Effect.timeoutFail({
            duration: settings.deliveryTimeoutMs,
            onTimeout: (): Failure => ({
              reason: "DeliveryTimeout",
              description: `no answer within ${settings.deliveryTimeoutMs} ms; ${trouble?.description ?? "no broker answered"}`,
              cause: trouble?.cause
            })
          }),
          Effect.raceFirst(closing ? Effect.fail(closedFailure) : Deferred.await(gone)),
          Effect.mapBoth({
            onFailure: ({ cause, description, reason }) => new ProducerError({ reason, topic, description, cause }),
            onSuccess: (metadata) => metadata.partitions.length
          })
        )
      })

    return tracing.producer({
      send: (record) => publish([record], Call.refuseAll, ([result]) => exitOfOne(result!)),
      sendAll: (records) => publishAll(records, Call.refuseAll, exitOfAll),
      sendAllEither: (records) => publishAll(records, Call.refuse, (results) => Effect.succeed(results.map(eitherOf))),
      partitions
    })
  })

const exitOfOne = (result: Call.Result): Effect.Effect<RecordMetadata, ProducerError> =>
  result instanceof ProducerError ? result : Effect.succeed(result)

const exitOfAll = (results: ReadonlyArray<Call.Result>): Effect.Effect<ReadonlyArray<RecordMetadata>, ProducerError> =>
  results.find((result) => result instanceof ProducerError) ?? Effect.succeed(results as ReadonlyArray<RecordMetadata>)

const eitherOf = (result: Call.Result): Either.Either<RecordMetadata, ProducerError> =>
  result instanceof ProducerError ? Either.left(result) : Either.right(result)
