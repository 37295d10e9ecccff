import { assert, describe, it } from "@effect/vitest"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import { MemoryBroker } from "@spillway/memory/MemoryBroker"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import * as RetryPolicy from "@spillway/transport/RetryPolicy"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import { committed, group, makeCalls, onBroker, options, quiet, topic } from "../support/consumerTesting.js"
import { logged } from "../support/logged.js"

const retry = RetryPolicy.fixed({ retries: 3, delay: "10 seconds" })
const topics = { [topic]: 1 }

describe("drain", () => {
  it.effect("lets a running handler finish, commits its record and starts no other", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const consumer = yield* KafkaConsumer.make({
        ...options,
        retry,
        handler: calls.handler(() => Effect.sleep("20 seconds"))
      })
      yield* broker.produce(topic, [{ value: "a" }, { value: "b" }])
      yield* TestClock.adjust("5 seconds")
      yield* consumer.stop
      yield* TestClock.adjust("14 seconds")
      assert.strictEqual(yield* consumer.status, "Draining")
      // It stays in the group meanwhile, and its partition isn't reassigned.
      assert.strictEqual((yield* broker.group(group)).members.length, 1)
      yield* TestClock.adjust("1 second")
      const report = yield* consumer.wait
      assert.strictEqual(yield* TestClock.currentTimeMillis, 20_000)
      assert.deepStrictEqual(report, {
        handled: 1,
        retried: 0,
        deadLettered: 0,
        discarded: 0,
        committed: [{ topic, partition: 0, offset: 1 }]
      })
      assert.deepStrictEqual(yield* committed, { 0: 1 })
      assert.deepStrictEqual(calls.values(), ["a"])
      assert.strictEqual((yield* broker.group(group)).state, "Empty")
    }).pipe(onBroker({ topics }))
  )

  it.effect("ends a retry wait at once and leaves the record uncommitted", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const failing = { ...options, retry, handler: calls.handler(() => Effect.fail("not yet")) }
      const consumer = yield* KafkaConsumer.make(failing)
      yield* broker.produce(topic, [{ value: "a" }, { value: "b" }])
      yield* TestClock.adjust("15 seconds")
      const report = yield* consumer.close
      assert.strictEqual(yield* TestClock.currentTimeMillis, 15_000)
      assert.strictEqual(report.handled, 0)
      assert.deepStrictEqual(yield* committed, { 0: 0 })
      // The next owner begins with the first attempt.
      yield* KafkaConsumer.make(failing)
      yield* quiet
      assert.deepStrictEqual(calls.attempts(), [
        ["a", 1, 0],
        ["a", 2, 10_000],
        ["a", 1, 15_000]
      ])
    }).pipe(onBroker({ topics }))
  )

  it.effect("warns of each record whose handler it cuts off", () =>
    logged((lines) =>
      Effect.gen(function* () {
        const broker = yield* MemoryBroker
        const consumer = yield* KafkaConsumer.make({
          ...options,
          drainTimeout: "5 seconds",
          handler: ({ value }) => (value === "slow" ? Effect.sleep("1 minute") : Effect.void)
        })
        yield* broker.produce(topic, [{ value: "a" }, { value: "slow" }, { value: "b", partition: 1 }])
        yield* TestClock.adjust("1 second")
        const closing = yield* Effect.fork(consumer.close)
        yield* TestClock.adjust("6 seconds")
        yield* Fiber.join(closing)
        assert.deepStrictEqual(
          lines.filter(({ level }) => level === "Warning").map(({ annotations, message }) => [message, annotations]),
          [
            [
              "A handler did not end in time: its record will be redelivered",
              { groupId: group, topic, partition: 0, offset: 1, option: "drainTimeout", timeoutMs: 5_000 }
            ]
          ]
        )
      })
    ).pipe(onBroker({ topics: { [topic]: 2 } }))
  )

  it.effect("interrupts a handler that exceeds drainTimeout; the next consumer starts at attempt 1", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const interrupted: Array<string> = []
      const consumer = yield* KafkaConsumer.make({
        ...options,
        retry,
        drainTimeout: "5 seconds",
        handler: calls.handler(({ value }) =>
          value === "slow"
            ? Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted.push(value)))
            : Effect.void
        )
      })
      yield* broker.produce(topic, [{ value: "a" }, { value: "slow" }, { value: "c" }])
      yield* quiet
      const closing = yield* Effect.fork(consumer.close)
      yield* TestClock.adjust("4999 millis")
      assert.deepStrictEqual(interrupted, [])
      yield* TestClock.adjust("1 millis")
      const report = yield* Fiber.join(closing)
      assert.deepStrictEqual(interrupted, ["slow"])
      assert.strictEqual(report.handled, 1)
      assert.deepStrictEqual(yield* committed, { 0: 1 })
      const next = yield* KafkaConsumer.make({ ...options, handler: calls.handler(() => Effect.void) })
      yield* quiet
      assert.deepStrictEqual(
        calls.all.map(({ attempt, value }) => [value, attempt]),
        [
          ["a", 1],
          ["slow", 1],
          ["slow", 1],
          ["c", 1]
        ]
      )
      assert.strictEqual((yield* next.close).handled, 2)
      assert.deepStrictEqual(yield* committed, { 0: 3 })
    }).pipe(onBroker({ topics }))
  )

  it.effect("redelivers no settled record", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const consuming = { ...options, handler: calls.handler(() => Effect.sleep("100 millis")) }
      yield* broker.produce(
        topic,
        Array.from({ length: 50 }, (_, i) => ({ value: `${i}` }))
      )
      for (let round = 0; round < 4; round++) {
        const consumer = yield* KafkaConsumer.make(consuming)
        yield* TestClock.adjust("1250 millis")
        const closing = yield* Effect.fork(consumer.close)
        yield* TestClock.adjust("100 millis")
        yield* Fiber.join(closing)
        const handled = calls.all.length
        assert.deepStrictEqual(yield* committed, { 0: handled })
      }
      assert.deepStrictEqual(
        calls.values(),
        Array.from(calls.all, (_, i) => `${i}`)
      )
      assert.isAtLeast(calls.all.length, 40)
    }).pipe(onBroker({ topics }))
  )

  it.effect("during an eager rebalance settles, commits and leaves without rejoining", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const consuming = {
        ...options,
        assignors: ["range"] as const,
        handler: calls.handler(() => Effect.sleep("10 seconds"))
      }
      const first = yield* KafkaConsumer.make(consuming)
      yield* broker.produce(topic, [{ value: "a" }, { value: "b" }])
      yield* TestClock.adjust("1 second")
      const joining = yield* Effect.fork(KafkaConsumer.make(consuming))
      // The first member's next heartbeat reports the rebalance, and it waits for its handler.
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual((yield* broker.group(group)).state, "PreparingRebalance")
      yield* first.stop
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* first.wait).handled, 1)
      yield* Fiber.join(joining)
      yield* TestClock.adjust("11 seconds")
      assert.deepStrictEqual(calls.values(), ["a", "b"])
      assert.deepStrictEqual(yield* committed, { 0: 2 })
      assert.strictEqual((yield* broker.group(group)).members.length, 1)
    }).pipe(onBroker({ topics }))
  )

  it.effect("retries its last commit until drainTimeout", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const consumer = yield* KafkaConsumer.make({
        ...options,
        drainTimeout: "20 seconds" as const,
        handler: calls.handler(() => Effect.void)
      })
      yield* broker.produce(topic, [{ value: "a" }])
      yield* quiet
      yield* broker.stop
      const closing = yield* Effect.fork(consumer.close)
      yield* TestClock.adjust("18 seconds")
      yield* broker.start
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual((yield* Fiber.join(closing)).committed, [{ topic, partition: 0, offset: 1 }])
      assert.deepStrictEqual(yield* committed, { 0: 1 })
    }).pipe(onBroker({ topics }))
  )

  it.effect("of a failed consumer retries its last commit for 5 seconds only", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const failing = yield* Deferred.make<never, Error>()
      const consumer = yield* KafkaConsumer.make({
        ...options,
        deadLetter: DeadLetter.none("stop"),
        retry: RetryPolicy.none,
        drainTimeout: "30 seconds" as const,
        handler: ({ value }) => (value === "b" ? Deferred.await(failing) : Effect.void)
      })
      yield* broker.produce(topic, [{ value: "a" }, { value: "b" }])
      yield* quiet
      yield* broker.stop
      const failed = yield* Effect.fork(Effect.flip(consumer.wait))
      yield* Deferred.fail(failing, new Error("no"))
      yield* TestClock.adjust("8 seconds")
      assert(Option.isSome(yield* Fiber.poll(failed)))
    }).pipe(onBroker({ topics }))
  )

  it.effect("ends even if the broker is gone, and the uncommitted records are redelivered", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const consuming = { ...options, drainTimeout: "1 second" as const, handler: calls.handler(() => Effect.void) }
      const consumer = yield* KafkaConsumer.make(consuming)
      yield* broker.produce(topic, [{ value: "a" }])
      yield* quiet
      yield* broker.stop
      const closing = yield* Effect.fork(consumer.close)
      yield* TestClock.adjust("7 seconds")
      assert.strictEqual((yield* Fiber.join(closing)).handled, 1)
      yield* broker.start
      yield* TestClock.adjust("1 minute")
      yield* KafkaConsumer.make(consuming)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(calls.values(), ["a", "a"])
      assert.deepStrictEqual(yield* committed, { 0: 1 })
    }).pipe(onBroker({ topics }))
  )
})
