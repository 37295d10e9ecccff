/**
 * Options that can't be used: one error names all of them, and nothing throws.
 */
import { assert, describe, it } from "@effect/vitest"
import * as KafkaAdmin from "@spillway/kafka/KafkaAdmin"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import * as KafkaJsWire from "@spillway/kafka/KafkaJsWire"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import * as KafkaReader from "@spillway/kafka/KafkaReader"
import type { Wire } from "@spillway/kafka/Wire"
import * as MemoryBroker from "@spillway/memory/MemoryBroker"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import * as Event from "@spillway/transport/Event"
import * as EventPublisher from "@spillway/transport/EventPublisher"
import * as EventRouter from "@spillway/transport/EventRouter"
import * as InvalidOptions from "@spillway/transport/InvalidOptions"
import { Producer } from "@spillway/transport/Producer"
import * as ReliabilityConfig from "@spillway/transport/ReliabilityConfig"
import * as RetryPolicy from "@spillway/transport/RetryPolicy"
import * as TransportMetrics from "@spillway/transport/TransportMetrics"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { withVariables } from "../../../transport/test/support/environment.js"
import { onBroker, options, topic } from "../support/consumerTesting.js"

const handler = () => Effect.void

const producer = Producer.of({
  send: () => Effect.die("unused"),
  sendAll: () => Effect.die("unused"),
  sendAllEither: () => Effect.die("unused"),
  partitions: () => Effect.succeed(1)
})

/** The issues with which an effect fails, as text. */
const refused = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(Effect.scoped(effect)), (error) => {
    assert.instanceOf(error, InvalidOptions.InvalidOptions)
    return error.message.split("; ")
  })

describe("InvalidOptions of a consumer", () => {
  it.effect("names what its policies, its router and its numbers got wrong, all at once", () =>
    Effect.gen(function* () {
      const route = EventRouter.on(Event.make({ type: "", data: Schema.Unknown }), handler)
      const retry = RetryPolicy.exponential({ retries: -1, factor: 0.5 })
      assert.deepStrictEqual(
        yield* refused(
          KafkaConsumer.make({
            ...options,
            ...EventRouter.make({ routes: [route, route], unknown: "ignore" }),
            commitInterval: 0,
            retry,
            circuitBreaker: { probes: 0 },
            deadLetter: DeadLetter.topic(topic, { headers: { errorMessage: "x-retry-count" } })
          })
        ),
        [
          "KafkaConsumer: commitInterval must be a duration above zero and below 25 days, not 0",
          "circuitBreaker.probes must be a whole number from 1 to 1000000, not 0",
          'routes[0].type must be text that CloudEvents allows, not ""',
          'routes[1] must be the only route of its type and version, not ""',
          'routes[1].type must be text that CloudEvents allows, not ""',
          "retry.retries must be a whole number, at least 0, not -1",
          "retry.factor must be a number, at least 1, not 0.5",
          'deadLetter.headers.errorMessage must not be the header of retryCount, not "x-retry-count"',
          `deadLetter must not be the topic that is consumed, not "${topic}"`
        ]
      )
    }).pipe(Effect.provideService(Producer, producer), onBroker({ topics: { [topic]: 1 } }))
  )

  it.effect("names the options of ReliabilityConfig by their own names", () =>
    Effect.gen(function* () {
      const policy = ReliabilityConfig.options({ retryCount: -1, dlqTopic: "no topic", circuitBreaker: { probes: 0 } })
      assert.deepStrictEqual(yield* refused(KafkaConsumer.make({ ...options, handler, ...policy })), [
        "KafkaConsumer: circuitBreaker.probes must be a whole number from 1 to 1000000, not 0",
        "retryCount must be a whole number, at least 0, not -1",
        'dlqTopic must be a legal topic name, not "no topic"'
      ])
    }).pipe(Effect.provideService(Producer, producer), onBroker({ topics: { [topic]: 1 } }))
  )

  it.effect("names a function of dead letter topics that throws, and an unknown word", () =>
    Effect.gen(function* () {
      const throwing = DeadLetter.topic(
        () => {
          throw new Error("no name")
        },
        { tooLarge: "drop" as "stop" }
      )
      const [tooLarge, name] = yield* refused(KafkaConsumer.make({ ...options, handler, deadLetter: throwing }))
      assert.include(tooLarge, 'deadLetter.tooLarge must be one of block, stop, not "drop"')
      assert.include(name, `deadLetter must name a topic for ${topic}, not`)
      assert.include(name, "no name")
      const deadLetter = DeadLetter.none("drop" as "stop")
      assert.include((yield* refused(KafkaConsumer.make({ ...options, handler, deadLetter })))[0], 'not "drop"')
    }).pipe(Effect.provideService(Producer, producer), onBroker({ topics: { [topic]: 1 } }))
  )

  it.effect("names a transactional consumer's and its producer's, all at once, before it fences another", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(
        yield* refused(
          KafkaConsumer.makeTransactional({
            ...options,
            handler: () => Effect.succeed([]),
            transactionalId: "",
            transactionTimeout: 0,
            maxTransactionBytes: 0,
            producer: { maxBatchBytes: 1 },
            maxLaneRecords: 0,
            retry: RetryPolicy.fixed({ retries: -1 })
          })
        ),
        [
          "KafkaConsumer: maxLaneRecords must be a whole number from 1 to 2147483647, not 0",
          "maxTransactionBytes must be a whole number of at least 1, not 0",
          'transactionalId must not be empty, not ""',
          "transactionTimeout must be a duration of at least 1 ms and below 25 days, not 0",
          "producer.maxBatchBytes must be a whole number of at least 1024, not 1",
          "retry.retries must be a whole number, at least 0, not -1"
        ]
      )
    }).pipe(onBroker({ topics: { [topic]: 1 } }))
  )
})

describe("InvalidOptions of callers without types", () => {
  const missing = undefined as never
  const consumer: KafkaConsumer.KafkaConsumerOptions<string, never, never, never> = missing
  const transactional: KafkaConsumer.TransactionalConsumerOptions<string, never, never, never> = missing

  const modules: Readonly<
    Record<
      string,
      readonly [
        fields: ReadonlyArray<string>,
        make: () => Effect.Effect<unknown, unknown, Wire | Producer | Scope.Scope>
      ]
    >
  > = {
    "KafkaConsumer.make": [["groupId", "topics", "value", "handler", "deadLetter"], () => KafkaConsumer.make(consumer)],
    "KafkaConsumer.run": [["groupId", "topics", "value", "handler", "deadLetter"], () => KafkaConsumer.run(consumer)],
    "KafkaConsumer.layer": [
      ["groupId", "topics", "value", "handler", "deadLetter"],
      () => Layer.build(KafkaConsumer.layer(consumer))
    ],
    "KafkaConsumer.makeTransactional": [
      ["groupId", "topics", "transactionalId", "value", "handler", "deadLetter"],
      () => KafkaConsumer.makeTransactional(transactional)
    ],
    "KafkaConsumer.layerTransactional": [
      ["groupId", "topics", "transactionalId", "value", "handler", "deadLetter"],
      () => Layer.build(KafkaConsumer.layerTransactional(transactional))
    ],
    "KafkaConsumer.layerConfig": [
      ["value", "handler"],
      () =>
        withVariables({ KAFKA_CONSUMER_GROUP_ID: "billing", KAFKA_CONSUMER_TOPICS: "orders" })(
          Layer.build(KafkaConsumer.layerConfig(consumer))
        )
    ],
    "KafkaProducer.makeTransactional": [["transactionalId"], () => KafkaProducer.makeTransactional(missing)],
    "KafkaJsWire.layer": [["brokers"], () => Layer.build(KafkaJsWire.layer(missing))],
    "KafkaReader.read": [["topic"], () => Stream.runDrain(KafkaReader.read(missing))],
    "KafkaAdmin.make": [["timeout"], () => KafkaAdmin.make({ timeout: "soon" as never })],
    "TransportMetrics.layer": [["service"], () => Layer.build(TransportMetrics.layer(missing))],
    "EventPublisher.make": [["source", "topic"], () => EventPublisher.make(missing)],
    "MemoryBroker.make": [["nodes"], () => MemoryBroker.make({ nodes: 0 })]
  }

  for (const [name, [fields, make]] of Object.entries(modules)) {
    it.effect(`${name} names what is missing`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(Effect.scoped(make()))
        assert.instanceOf(error, InvalidOptions.InvalidOptions)
        assert.strictEqual(error.module, name.split(".")[0])
        assert.deepStrictEqual(
          error.issues.map(({ field }) => field),
          fields
        )
      }).pipe(Effect.provideService(Producer, producer), onBroker({ topics: { [topic]: 1 } }))
    )
  }
})
