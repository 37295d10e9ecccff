import { assert, describe, it } from "@effect/vitest"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import { Wire } from "@spillway/kafka/Wire"
import { MemoryBroker } from "@spillway/memory/MemoryBroker"
import * as RetryPolicy from "@spillway/transport/RetryPolicy"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import { committed, delayed, group, makeCalls, onBroker, options, quiet, topic } from "../support/consumerTesting.js"

const topics = { [topic]: 1 }
const sessionTimeout = "10 seconds"

const numbered = (count: number) => Array.from({ length: count }, (_, i) => ({ value: `${i}` }))

describe("a consumer cut off from its broker", () => {
  it.effect("starts nothing new once its session may have expired, rejoins when it can, and loses nothing", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const client = yield* broker.client("a")
      const calls = makeCalls()
      const consumer = yield* KafkaConsumer.make({
        ...options,
        sessionTimeout,
        handler: calls.handler(() => Effect.sleep("1 second"))
      }).pipe(Effect.provideService(Wire, client.wire))
      yield* broker.produce(topic, numbered(30))
      yield* TestClock.adjust("4500 millis")
      const acknowledged = 3_000
      yield* client.cut
      const { 0: atCut } = yield* committed
      yield* TestClock.adjust("20 seconds")
      assert.isAbove(Math.max(...calls.all.map(({ at }) => at)), acknowledged + 8_000)
      assert.isAtMost(Math.max(...calls.all.map(({ at }) => at)), acknowledged + 10_000)
      const before = calls.all.length
      yield* client.restore
      yield* TestClock.adjust("40 seconds")
      assert.strictEqual(yield* consumer.status, "Running")
      assert.strictEqual(new Set(calls.values()).size, 30)
      assert.deepStrictEqual(yield* committed, { 0: 30 })
      // Records committed before the cut aren't redelivered.
      assert.strictEqual(Math.min(...calls.all.slice(before).map(({ offset }) => offset)), atCut)
    }).pipe(onBroker({ topics }))
  )

  it.effect("starts no retry once its session may have expired", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const client = yield* broker.client("a")
      const calls = makeCalls()
      yield* KafkaConsumer.make({
        ...options,
        sessionTimeout,
        retry: RetryPolicy.fixed({ retries: 100, delay: "1 second" }),
        handler: calls.handler(() => Effect.fail("not yet"))
      }).pipe(Effect.provideService(Wire, client.wire))
      yield* broker.produce(topic, [{ value: "a" }])
      yield* TestClock.adjust("4500 millis")
      yield* client.cut
      yield* TestClock.adjust("20 seconds")
      assert.isAtMost(Math.max(...calls.all.map(({ at }) => at)), 13_000)
      assert.deepStrictEqual(yield* committed, { 0: 0 })
    }).pipe(onBroker({ topics }))
  )

  it.effect("starts nothing after a heartbeat response that arrives once the session may have expired", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const delays = ["12 seconds"] as Array<Duration.DurationInput>
      const slow = delayed(broker.wire, "Heartbeat", () => delays.pop() ?? "1 second")
      yield* KafkaConsumer.make({
        ...options,
        sessionTimeout,
        handler: calls.handler(() => Effect.sleep("1 second"))
      }).pipe(Effect.provideService(Wire, slow))
      yield* broker.produce(topic, numbered(30))
      yield* TestClock.adjust("1 minute")
      const starts = calls.all.map(({ at }) => at)
      assert.deepStrictEqual(
        starts.filter((at) => at > 10_000 && at < 16_000),
        []
      )
      // The heartbeat is repeated at once.
      assert.isNotEmpty(starts.filter((at) => at >= 16_000 && at < 18_000))
      assert.deepStrictEqual(yield* committed, { 0: 30 })
    }).pipe(onBroker({ topics }))
  )

  it.effect("commits nothing for a partition that another member was assigned meanwhile", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const client = yield* broker.client("a")
      const calls = makeCalls()
      const first = yield* KafkaConsumer.make({
        ...options,
        sessionTimeout,
        handler: calls.handler(() => Effect.sleep("1 minute"))
      }).pipe(Effect.provideService(Wire, client.wire))
      yield* broker.produce(topic, numbered(3))
      yield* TestClock.adjust("1 second")
      yield* client.cut
      yield* TestClock.adjust("15 seconds")
      const second = yield* KafkaConsumer.make({ ...options, handler: calls.handler(() => Effect.void) })
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* committed, { 0: 3 })
      yield* client.restore
      yield* TestClock.adjust("2 minutes")
      assert.deepStrictEqual(yield* committed, { 0: 3 })
      assert.strictEqual((yield* broker.group(group)).members.length, 2)
      assert.strictEqual((yield* first.report).handled, 0)
      assert.strictEqual((yield* second.report).handled, 3)
    }).pipe(onBroker({ topics }))
  )

  it.effect("continues where it was if it is back before its session expires", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const client = yield* broker.client("a")
      const calls = makeCalls()
      yield* KafkaConsumer.make({
        ...options,
        sessionTimeout,
        handler: calls.handler(() => Effect.sleep("1 second"))
      }).pipe(Effect.provideService(Wire, client.wire))
      yield* broker.produce(topic, numbered(20))
      yield* TestClock.adjust("4500 millis")
      yield* client.cut
      yield* TestClock.adjust("5 seconds")
      yield* client.restore
      yield* TestClock.adjust("20 seconds")
      assert.deepStrictEqual(
        calls.values(),
        numbered(20).map(({ value }) => value)
      )
      assert.deepStrictEqual(yield* committed, { 0: 20 })
      assert.strictEqual((yield* broker.group(group)).generation, 1)
    }).pipe(onBroker({ topics }))
  )

  it.effect("continues when the broker is back after an outage", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const consumer = yield* KafkaConsumer.make({
        ...options,
        sessionTimeout,
        handler: calls.handler(() => Effect.void)
      })
      yield* broker.produce(topic, numbered(3))
      yield* TestClock.adjust("1 second")
      yield* broker.stop
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* consumer.status, "Running")
      yield* broker.start
      yield* broker.produce(topic, [{ value: "after" }])
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(calls.values().at(-1), "after")
      assert.deepStrictEqual(yield* committed, { 0: 4 })
    }).pipe(onBroker({ topics }))
  )

  it.effect("waits for a broker that isn't there yet", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      yield* broker.stop
      const starting = yield* Effect.fork(KafkaConsumer.make({ ...options, handler: calls.handler(() => Effect.void) }))
      yield* TestClock.adjust("20 seconds")
      yield* broker.start
      yield* broker.produce(topic, [{ value: "a" }])
      yield* TestClock.adjust("2 seconds")
      yield* starting
      yield* quiet
      assert.deepStrictEqual(calls.values(), ["a"])
    }).pipe(onBroker({ topics }))
  )
})
