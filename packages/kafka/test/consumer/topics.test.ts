import { assert, describe, it } from "@effect/vitest"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import { MemoryBroker } from "@spillway/memory/MemoryBroker"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import { committed, group, makeCalls, onBroker, options, quiet, topic } from "../support/consumerTesting.js"

const values = (...all: ReadonlyArray<string>) => all.map((value) => ({ value }))

const done = () => Effect.void

describe("topics", () => {
  for (const initialOffset of ["earliest", "latest"] as const) {
    it.effect(`one that doesn't exist at the start is read from its start once created (${initialOffset})`, () =>
      Effect.gen(function* () {
        const broker = yield* MemoryBroker
        const calls = makeCalls()
        const consumer = yield* KafkaConsumer.make({ ...options, initialOffset, handler: calls.handler(done) })
        assert.strictEqual(yield* consumer.status, "Running")
        assert.deepStrictEqual(yield* consumer.assignment, [])
        yield* TestClock.adjust("10 seconds")
        yield* broker.createTopic(topic, 1)
        yield* broker.produce(topic, values("a"))
        yield* TestClock.adjust("2 seconds")
        assert.deepStrictEqual(calls.values(), ["a"])
        assert.deepStrictEqual(yield* committed, { 0: 1 })
      }).pipe(onBroker({}))
    )
  }

  it.effect("one that is deleted is dropped, the others continue, and it is read again when it is back", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const consumer = yield* KafkaConsumer.make({
        ...options,
        topics: [topic, "payments"],
        metadataMaxAge: "5 seconds",
        handler: calls.handler(done)
      })
      yield* broker.produce(topic, values("a"))
      yield* TestClock.adjust("1 second")
      yield* broker.deleteTopic(topic)
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* consumer.assignment, [{ topic: "payments", partition: 0 }])
      yield* broker.produce("payments", values("b"))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* consumer.status, "Running")
      yield* broker.createTopic(topic, 1)
      yield* broker.produce(topic, values("c"))
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(calls.values(), ["a", "b", "c"])
      assert.deepStrictEqual(yield* committed, { 0: 1 })
    }).pipe(onBroker({ topics: { [topic]: 1, payments: 1 } }))
  )

  it.effect("one that is deleted with settled records uncommitted holds up no rebalance", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const consumer = yield* KafkaConsumer.make({
        ...options,
        topics: [topic, "payments"],
        metadataMaxAge: "5 seconds",
        commitInterval: "1 minute",
        handler: calls.handler(done)
      })
      yield* broker.produce(topic, values("a"))
      yield* quiet
      yield* broker.deleteTopic(topic)
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* consumer.assignment, [{ topic: "payments", partition: 0 }])
    }).pipe(onBroker({ topics: { [topic]: 1, payments: 1 } }))
  )
})

describe("initialOffset", () => {
  it.effect("earliest starts with the first available record", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      yield* broker.produce(topic, values("a", "b", "c"))
      yield* broker.truncateBefore(topic, 0, 1)
      yield* KafkaConsumer.make({ ...options, handler: calls.handler(done) })
      yield* quiet
      assert.deepStrictEqual(calls.values(), ["b", "c"])
    }).pipe(onBroker({ topics: { [topic]: 1 } }))
  )

  it.effect("latest starts with the next record, and the position is committed at once", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const latest = { ...options, initialOffset: "latest", handler: calls.handler(done) } as const
      yield* broker.produce(topic, values("a", "b"))
      const first = yield* KafkaConsumer.make(latest)
      yield* quiet
      assert.deepStrictEqual(yield* committed, { 0: 2, 1: 0 })
      yield* first.close
      // So records that arrive while no member runs aren't missed.
      yield* broker.produce(topic, values("c"))
      yield* broker.produce(topic, [{ value: "d", partition: 1 }])
      yield* KafkaConsumer.make(latest)
      yield* quiet
      assert.sameMembers([...calls.values()], ["c", "d"])
    }).pipe(onBroker({ topics: { [topic]: 2 } }))
  )

  it.effect("is ignored if an offset is committed", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      yield* broker.produce(topic, values("a", "b"))
      const first = yield* KafkaConsumer.make({ ...options, handler: calls.handler(done) })
      yield* quiet
      yield* first.close
      yield* broker.produce(topic, values("c"))
      yield* KafkaConsumer.make({ ...options, initialOffset: "latest", handler: calls.handler(done) })
      yield* quiet
      assert.deepStrictEqual(calls.values(), ["a", "b", "c"])
    }).pipe(onBroker({ topics: { [topic]: 1 } }))
  )
})

describe("offsetOutOfRange", () => {
  /** A group that has committed offset 1, while records 0 to 3 are deleted. */
  const behind = Effect.gen(function* () {
    const broker = yield* MemoryBroker
    yield* broker.produce(topic, values("0"))
    const first = yield* KafkaConsumer.make({ ...options, handler: done })
    yield* quiet
    yield* first.close
    yield* broker.produce(topic, values("1", "2", "3", "4", "5"))
    yield* broker.truncateBefore(topic, 0, 4)
    return broker
  })

  it.effect("fail ends the consumer and leaves the offset", () =>
    Effect.gen(function* () {
      const broker = yield* behind
      const consumer = yield* KafkaConsumer.make({ ...options, handler: done })
      yield* TestClock.adjust("1 second")
      const error = yield* Effect.flip(consumer.wait)
      assert.strictEqual(error.reason, "OffsetOutOfRange")
      assert.include(error.message, "orders-0 at offset 1: the log starts at 4 and ends at 6")
      assert.deepStrictEqual(yield* committed, { 0: 1 })
      assert.strictEqual((yield* broker.group(group)).members.length, 0)
    }).pipe(onBroker({ topics: { [topic]: 1 } }))
  )

  it.effect("earliest continues with the first available record", () =>
    Effect.gen(function* () {
      yield* behind
      const calls = makeCalls()
      yield* KafkaConsumer.make({ ...options, offsetOutOfRange: "earliest", handler: calls.handler(done) })
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(calls.values(), ["4", "5"])
      assert.deepStrictEqual(yield* committed, { 0: 6 })
    }).pipe(onBroker({ topics: { [topic]: 1 } }))
  )

  it.effect("latest continues with the next record", () =>
    Effect.gen(function* () {
      const broker = yield* behind
      const calls = makeCalls()
      yield* KafkaConsumer.make({ ...options, offsetOutOfRange: "latest", handler: calls.handler(done) })
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* committed, { 0: 6 })
      yield* broker.produce(topic, values("6"))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(calls.values(), ["6"])
      assert.deepStrictEqual(yield* committed, { 0: 7 })
    }).pipe(onBroker({ topics: { [topic]: 1 } }))
  )
})
