/**
 * Publishing to Kafka: records are acknowledged by all in-sync replicas before `send` returns, keep their order within
 * a partition, and go to the partition that Java's producer would choose for their key.
 *
 * Records that are sent while a request to their broker is in flight share the next one. What fails for a reason that
 * may pass is tried again, to the same partition, until `deliveryTimeout`. A record may be written twice when an
 * acknowledgement got lost.
 */
import { Producer, type ProducerError, type ProducerRecord, type RecordMetadata } from "@spillway/transport/Producer"
import { TransportMetrics } from "@spillway/transport/TransportMetrics"
import { TransportTracing } from "@spillway/transport/TransportTracing"
import * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FiberId from "effect/FiberId"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import * as Cluster from "./internal/cluster.js"
import * as Call from "./internal/producerCall.js"
import * as ProducerEnvironment from "./internal/producerEnvironment.js"
import type { Failure } from "./internal/producerFailure.js"
import * as Lanes from "./internal/producerLanes.js"
import * as Record from "./internal/producerRecord.js"
import * as Sender from "./internal/producerSender.js"
import { decode, KafkaProducerConfigError, type ProducerOptions } from "./internal/producerSettings.js"
import * as Topics from "./internal/producerTopics.js"
import * as Signal from "./internal/signal.js"
import type { Wire } from "./Wire.js"

export { KafkaProducerConfigError }

export type KafkaProducerOptions = ProducerOptions

const closedFailure: Failure = { reason: "Closed", description: "the producer is closed" }

/**
 * A producer of its own connections. Closing the scope refuses further records, waits up to `closeTimeout` for those
 * that were accepted, and fails the rest with `Closed`.
 *
 * `sendAll` checks every record and chooses its partition before any is sent; once sending has begun, it ends when each
 * record has its result. An interrupted `send` ends at once; its record is sent all the same only when it is in flight.
 */
export const make = (
  options: KafkaProducerOptions = {}
): Effect.Effect<Context.Tag.Service<Producer>, KafkaProducerConfigError, Wire | Scope.Scope> =>
  Effect.gen(function* () {
    const settings = yield* decode(options)
    const metrics = yield* TransportMetrics
    const tracing = yield* TransportTracing
    const clock = yield* Effect.clock
    const calls = new Set<Call.Call>()
    const changed = Signal.make()
    const gone = Deferred.unsafeMake<never, Failure>(FiberId.none)
    let closing = false

    // Connections and fibres live in a scope of their own, so that they outlast the wait for what was accepted.
    const inner = yield* Scope.make()
    const drained = Effect.gen(function* () {
      while (calls.size > 0) yield* changed.wait()
    })
    yield* Effect.addFinalizer((exit) =>
      Effect.suspend(() => {
        closing = true
        return drained.pipe(Effect.interruptible, Effect.timeoutOption(settings.closeTimeoutMs))
      }).pipe(
        Effect.zipRight(
          Effect.suspend(() => {
            for (const call of calls) Call.abort(call, closedFailure)
            return Deferred.fail(gone, closedFailure)
          })
        ),
        Effect.zipRight(Scope.close(inner, exit))
      )
    )
    yield* metrics.activeProducer
    const cluster = yield* Scope.extend(Cluster.make, inner)
    const runFork = yield* Scope.extend(FiberSet.makeRuntime<never, void, never>(), inner)
    const run = (effect: Effect.Effect<void>): void => {
      runFork(Effect.interruptible(effect))
    }
    const now = (): number => Number(clock.unsafeCurrentTimeNanos()) / 1e6
    const topics = Topics.make({ cluster, run, now, maxAgeMs: settings.metadataMaxAgeMs })
    const lanes = Lanes.make({ cluster, maxBatchBytes: settings.maxBatchBytes })
    const wake = Sender.make({ cluster, topics, settings, metrics, run, now, onTake: lanes.onTake })

    // One fibre for all deadlines: calls are kept in the order of theirs.
    let watching = false
    const watch = Effect.gen(function* () {
      while (true) {
        const [first] = calls
        if (first === undefined) break
        const left = first.deadline - now()
        if (left > 0) yield* Effect.sleep(left)
        else Call.abort(first, overdue(first))
      }
      watching = false
    })
    const overdue = ({ trouble }: Call.Call): Failure => ({
      reason: "DeliveryTimeout",
      description: `not acknowledged within ${settings.deliveryTimeoutMs} ms${trouble === undefined ? "" : `; ${trouble.description}`}`,
      cause: trouble?.cause
    })

    const onDone = (call: Call.Call): void => {
      calls.delete(call)
      if (calls.size === 0) changed.notify()
    }

    const accept = (topic: string, size: number): Call.Call => {
      const acceptedAt = now()
      const call = Call.make(topic, size, acceptedAt, acceptedAt + settings.deliveryTimeoutMs, onDone)
      calls.add(call)
      if (!watching) {
        watching = true
        run(watch)
      }
      return call
    }

    /** Chooses all partitions, then adds all records to their lanes, or none. */
    const enqueue = (call: Call.Call, records: ReadonlyArray<Record.Prepared>, random: number): void => {
      const entries = lanes.assign(call, records, random)
      if (Either.isLeft(entries)) {
        Call.refuse(call, entries.left)
        return
      }
      call.entries = entries.right
      for (const entry of entries.right) lanes.of(entry).queue.push(entry)
      for (const entry of entries.right) wake(lanes.of(entry))
    }

    /** The topics that nothing is known of, with the first record to each. */
    const missingOf = (records: ReadonlyArray<Record.Prepared>): ReadonlyMap<string, number> => {
      const missing = new Map<string, number>()
      for (let index = 0; index < records.length; index++) {
        const { partition, topic } = records[index]!
        const known = topics.known(topic)
        // A partition that isn't known may have been added since.
        const isKnown = known !== undefined && (partition === undefined || partition < known.partitions.length)
        if (!isKnown && !missing.has(topic)) missing.set(topic, index)
      }
      return missing
    }

    const lookUp = (call: Call.Call, missing: ReadonlyMap<string, number>) =>
      Effect.forEach(
        missing,
        ([topic, index]) =>
          topics
            .lookup(topic, settings.unknownTopicTimeoutMs, (trouble) => {
              call.trouble = trouble
            })
            .pipe(Effect.mapError((failure) => Call.errorOf(call, index, { topic }, failure))),
        { discard: true, concurrency: "unbounded" }
      )

    /** Accepts the records and queues them, at once when their topics are known. */
    const submit = (call: Call.Call, records: ReadonlyArray<Record.Prepared>, random: number) => {
      const missing = missingOf(records)
      const result = Deferred.await(call.done)
      if (missing.size === 0) {
        enqueue(call, records, random)
        return result
      }
      return lookUp(call, missing).pipe(
        Effect.match({
          onFailure: (error) => Call.refuse(call, error),
          onSuccess: () => enqueue(call, records, random)
        }),
        Effect.raceFirst(Effect.exit(result)),
        Effect.zipRight(result)
      )
    }

    const publish = (
      records: ReadonlyArray<ProducerRecord>
    ): Effect.Effect<ReadonlyArray<RecordMetadata>, ProducerError> =>
      Effect.flatMap(Random.next, (random) => {
        const { length: size } = records
        if (size === 0) return Effect.succeed([])
        const refuse = (index: number, failure: Failure) =>
          Effect.fail(Call.errorOf({ size }, index, records[index]!, failure))
        if (closing) return refuse(0, closedFailure)
        const timestamp = Math.floor(clock.unsafeCurrentTimeMillis())
        const prepared: Array<Record.Prepared> = []
        for (let index = 0; index < size; index++) {
          const record = Record.prepare(records[index]!, timestamp, settings.maxBatchBytes)
          if ("reason" in record) return refuse(index, record)
          prepared.push(record)
        }
        const call = accept(prepared[0]!.topic, size)
        return Effect.onInterrupt(submit(call, prepared, random), () => Effect.sync(() => Call.abandon(call)))
      })

    const partitions = (topic: string): Effect.Effect<number, ProducerError> =>
      Effect.suspend(() => {
        const known = closing ? undefined : topics.known(topic)
        if (known !== undefined) return Effect.succeed(known.partitions.length)
        let trouble: Failure | undefined
        const looked = topics.lookup(topic, 0, (failure) => {
          trouble = failure
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
            onFailure: (failure) => Call.errorOf({ size: 1 }, 0, { topic }, failure),
            onSuccess: (metadata) => metadata.partitions.length
          })
        )
      })

    return tracing.producer({
      send: (record) => Effect.map(publish([record]), ([metadata]) => metadata!),
      sendAll: publish,
      partitions
    })
  })

/** The `Producer` service; see `make`. */
export const layer = (
  options?: KafkaProducerOptions | undefined
): Layer.Layer<Producer, KafkaProducerConfigError, Wire> => Layer.scoped(Producer, make(options))

/**
 * The options from the environment: `KAFKA_PRODUCER_COMPRESSION`, `KAFKA_PRODUCER_DELIVERY_TIMEOUT` and so on, by their
 * names; within a namespace `ORDERS`, `ORDERS_KAFKA_PRODUCER_COMPRESSION`. What no variable gives is as the defaults
 * have it.
 */
export const config: (
  defaults?: KafkaProducerOptions | undefined,
  namespace?: string | undefined
) => Config.Config<KafkaProducerOptions> = ProducerEnvironment.config

/** The `Producer` service with options from the program's configuration; without an argument, from `config`. */
export const layerConfig = (
  options: Config.Config.Wrap<KafkaProducerOptions> = config()
): Layer.Layer<Producer, KafkaProducerConfigError | ConfigError, Wire> =>
  Layer.scoped(Producer, Effect.flatMap(Config.unwrap(options), make))
