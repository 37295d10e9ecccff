import { assert, describe, it } from "@effect/vitest"
import { Wire } from "@spillway/kafka/Wire"
import { MemoryBroker } from "@spillway/memory/MemoryBroker"
import type { TopicPartition } from "@spillway/transport/Consumer"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import * as HandlerError from "@spillway/transport/HandlerError"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import * as KafkaConsumer from "../../src/KafkaConsumer.js"
import * as KafkaProducer from "../../src/KafkaProducer.js"
import { group, makeCalls, onBroker, options, quiet } from "../support/consumerTesting.js"

const values = (...all: ReadonlyArray<string>) => all.map((value) => ({ value }))

const done = () => Effect.void

const byPattern = { ...options, topics: /^orders\./, metadataMaxAge: "5 seconds" } as const

const topicsOf = (partitions: ReadonlyArray<TopicPartition>) => [...new Set(partitions.map(({ topic }) => topic))]

describe("topics by a pattern", () => {
  it.effect("match, except for Kafka's internal topics", () =>
    Effect.gen(function* () {
      const consumer = yield* KafkaConsumer.make({ ...byPattern, topics: /o/g, handler: done })
      assert.deepStrictEqual(topicsOf(yield* consumer.assignment), ["orders.eu", "orders.us"])
    }).pipe(onBroker({ topics: { "orders.eu": 2, "orders.us": 1, payments: 1, __consumer_offsets: 1 } }))
  )

  for (const initialOffset of ["earliest", "latest"] as const) {
    it.effect(`are read from their start when created, and dropped when deleted (${initialOffset})`, () =>
      Effect.gen(function* () {
        const broker = yield* MemoryBroker
        const calls = makeCalls()
        yield* broker.produce("orders.eu", values("early"))
        const consumer = yield* KafkaConsumer.make({ ...byPattern, initialOffset, handler: calls.handler(done) })
        yield* broker.createTopic("orders.us", 1)
        yield* broker.createTopic("payments", 1)
        yield* broker.produce("orders.us", values("a"))
        yield* broker.produce("payments", values("not ours"))
        yield* TestClock.adjust("6 seconds")
        assert.deepStrictEqual(topicsOf(yield* consumer.assignment), ["orders.eu", "orders.us"])
        yield* broker.deleteTopic("orders.eu")
        yield* TestClock.adjust("10 seconds")
        assert.deepStrictEqual(topicsOf(yield* consumer.assignment), ["orders.us"])
        yield* broker.produce("orders.us", values("b"))
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(calls.values(), [...(initialOffset === "earliest" ? ["early"] : []), "a", "b"])
        assert.deepStrictEqual(yield* broker.committed(group), [{ topic: "orders.us", partition: 0, offset: 2 }])
      }).pipe(onBroker({ topics: { "orders.eu": 1 } }))
    )
  }

  it.effect("may not exist yet: the consumer waits for them", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const consumer = yield* KafkaConsumer.make({ ...byPattern, handler: calls.handler(done) })
      assert.strictEqual(yield* consumer.status, "Running")
      assert.deepStrictEqual(yield* consumer.assignment, [])
      yield* broker.createTopic("orders.eu", 1)
      yield* broker.produce("orders.eu", values("a"))
      yield* TestClock.adjust("6 seconds")
      assert.deepStrictEqual(calls.values(), ["a"])
    }).pipe(onBroker({}))
  )

  it.effect("are looked up by every member, not only the leader, and no member stops for it", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const { wire } = yield* broker.client("leader")
      // The leader names its topic, so that only the other member can find the new one.
      yield* KafkaConsumer.make({ ...options, topics: ["payments"], handler: done }).pipe(
        Effect.provideService(Wire, wire)
      )
      const consumer = yield* Effect.fork(KafkaConsumer.make({ ...byPattern, handler: calls.handler(done) }))
      yield* TestClock.adjust("5 seconds")
      yield* broker.produce("orders.eu", values("a"))
      yield* quiet
      yield* broker.createTopic("orders.us", 1)
      yield* broker.produce("orders.us", values("b"))
      yield* TestClock.adjust("15 seconds")
      assert.deepStrictEqual(topicsOf(yield* (yield* consumer).assignment), ["orders.eu", "orders.us"])
      assert.deepStrictEqual(calls.values(), ["a", "b"])
    }).pipe(onBroker({ topics: { payments: 1, "orders.eu": 1 } }))
  )

  it.effect("may be paused and sought before any exists", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const consumer = yield* KafkaConsumer.make({ ...byPattern, handler: calls.handler(done) })
      yield* consumer.pause([{ topic: "orders.eu", partition: 0 }])
      const error = yield* Effect.flip(consumer.pause([{ topic: "payments", partition: 0 }]))
      assert.include(error.message, "payments")
      yield* broker.createTopic("orders.eu", 1)
      yield* broker.produce("orders.eu", values("a"))
      yield* TestClock.adjust("6 seconds")
      assert.deepStrictEqual(calls.values(), [])
      yield* consumer.resume()
      yield* quiet
      assert.deepStrictEqual(calls.values(), ["a"])
    }).pipe(onBroker({}))
  )

  for (const [name, deadLetter] of [
    ["each topic's own", DeadLetter.topic()],
    ["one for all", DeadLetter.topic("orders.eu-dlq")]
  ] as const) {
    it.effect(`don't include the dead letter topics of matching topics (${name})`, () =>
      Effect.gen(function* () {
        const broker = yield* MemoryBroker
        const consumer = yield* KafkaConsumer.make({
          ...byPattern,
          deadLetter,
          handler: () => HandlerError.nonRetryable(new Error("refused"))
        })
        yield* broker.produce("orders.eu", values("a"))
        yield* TestClock.adjust("10 seconds")
        assert.deepStrictEqual(topicsOf(yield* consumer.assignment), ["orders.eu"])
        assert.strictEqual((yield* broker.records("orders.eu-dlq")).length, 1)
      }).pipe(Effect.provide(KafkaProducer.layer()), onBroker({ topics: { "orders.eu": 1, "orders.eu-dlq": 1 } }))
    )
  }

  it.effect("fail the consumer if a dead letter topic is missing at the start", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        KafkaConsumer.make({ ...byPattern, deadLetter: DeadLetter.topic(), handler: done })
      )
      assert(error._tag === "ConsumerError")
      assert.strictEqual(error.reason, "DeadLetterTopic")
      assert.include(error.message, "orders.eu-dlq")
    }).pipe(Effect.provide(KafkaProducer.layer()), onBroker({ topics: { "orders.eu": 1 } }))
  )
})
