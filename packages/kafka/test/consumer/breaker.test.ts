import { assert, describe, it } from "@effect/vitest"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import { MemoryBroker } from "@spillway/memory/MemoryBroker"
import type { Consumer } from "@spillway/transport/Consumer"
import * as HandlerError from "@spillway/transport/HandlerError"
import * as RetryPolicy from "@spillway/transport/RetryPolicy"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { committed, group, makeCalls, onBroker, options, quiet, topic } from "../support/consumerTesting.js"

const one = { topics: { [topic]: 1 } }
const two = { topics: { [topic]: 2 } }

const on = (partition: number, ...values: ReadonlyArray<string>) => values.map((value) => ({ value, partition }))

const circuitBreaker = { window: { count: 4 }, minimumThroughput: 4, openTime: "5 seconds" } as const
const retry = RetryPolicy.fixed({ retries: 2, delay: "1 second" })

const breakerOf = (consumer: Consumer) => consumer.breaker!

describe("circuitBreaker", () => {
  it.effect("holds every partition while it is open, probes with one record, and costs no record a retry", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      let down = true
      const consumer = yield* KafkaConsumer.make({
        ...options,
        circuitBreaker,
        retry,
        sessionTimeout: "10 seconds",
        handler: calls.handler(() => (down ? Effect.fail("down") : Effect.void))
      })
      const states = yield* Effect.fork(Stream.runCollect(breakerOf(consumer).changes))
      yield* broker.produce(topic, [...on(0, "a", "b"), ...on(1, "c", "d")])
      yield* TestClock.adjust("50 seconds")
      assert.strictEqual(yield* breakerOf(consumer).state, "open")
      assert.strictEqual(yield* consumer.status, "Running")
      const failed = calls.all.map(({ at, attempt, value }) => [at, value, attempt])
      assert.deepStrictEqual(
        failed.slice(0, 4).map(([at, , attempt]) => [at, attempt]),
        [
          [0, 1],
          [0, 1],
          [1_000, 2],
          [1_000, 2]
        ]
      )
      const opener = failed[3]![1]
      // One probe after 5, 10 and 20 seconds more. The failure that opened it has its attempt again.
      assert.deepStrictEqual(
        failed.slice(4).map(([at]) => at),
        [6_000, 16_000, 36_000]
      )
      for (const [, value, attempt] of failed.slice(4)) assert.strictEqual(attempt, value === opener ? 2 : 3)
      down = false
      yield* TestClock.adjust("17 seconds")
      assert.strictEqual(calls.all.length, failed.length + 4)
      assert.deepStrictEqual(new Set(calls.all.slice(-4).map(({ at }) => at)), new Set([66_000]))
      assert.deepStrictEqual(yield* committed, { 0: 2, 1: 2 })
      assert.strictEqual((yield* broker.group(group)).generation, 1)
      const { discarded, handled } = yield* consumer.close
      assert.deepStrictEqual({ discarded, handled }, { discarded: 0, handled: 4 })
      assert.deepStrictEqual(Chunk.toReadonlyArray(yield* Fiber.join(states)), [
        "closed",
        ...Array.from({ length: 4 }, () => ["open", "halfOpen"] as const).flat(),
        "closed"
      ])
    }).pipe(onBroker(two))
  )

  it.effect("frees the partitions when a probe that can't be interrupted runs longer than the handler timeout", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const handled: Array<string> = []
      let mode: "down" | "stuck" | "up" = "down"
      const consumer = yield* KafkaConsumer.make({
        ...options,
        circuitBreaker,
        retry,
        handlerTimeout: "5 seconds",
        handler: ({ value }) =>
          Effect.suspend(() => {
            if (mode === "down") return Effect.fail("down")
            if (mode === "up") return Effect.sync(() => handled.push(value))
            mode = "up"
            return Effect.uninterruptible(Effect.sleep("10 minutes"))
          })
      })
      yield* broker.produce(topic, [...on(0, "a", "b"), ...on(1, "c", "d")])
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(yield* breakerOf(consumer).state, "open")
      mode = "stuck"
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* breakerOf(consumer).state, "closed")
      assert.strictEqual(handled.length, 2)
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(handled.length, 4)
    }).pipe(onBroker(two))
  )

  it.effect("dead-letters no record that failed as a probe, even without retries", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const consumer = yield* KafkaConsumer.make({
        ...options,
        circuitBreaker: { ...circuitBreaker, window: { count: 1 }, minimumThroughput: 1, probes: 2 },
        retry: RetryPolicy.none,
        handler: calls.handler(() => (calls.all.length < 4 ? Effect.fail("down") : Effect.void))
      })
      yield* broker.produce(topic, on(0, "a", "b", "c"))
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(calls.attempts(), [
        ["a", 1, 0],
        ["a", 1, 5_000],
        ["a", 1, 15_000],
        ["a", 1, 35_000],
        ["b", 1, 35_000],
        ["c", 1, 35_000]
      ])
      assert.strictEqual((yield* consumer.report).discarded, 0)
      assert.strictEqual(yield* breakerOf(consumer).state, "closed")
    }).pipe(onBroker(one))
  )

  it.effect("counts retryable failures and timeouts, but no final failures or undecodable records", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const consumer = yield* KafkaConsumer.make({
        ...options,
        circuitBreaker: { ...circuitBreaker, failureRatio: 1 },
        retry,
        handlerTimeout: "1 second",
        handler: calls.handler(({ value }) => (value === "never" ? HandlerError.nonRetryable(value) : Effect.never))
      })
      const bad = new Uint8Array([0xff])
      yield* broker.produce(topic, [...on(0, "never", "never", "never", "never"), { value: bad }, { value: bad }])
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* consumer.report).discarded, 6)
      assert.strictEqual(yield* breakerOf(consumer).state, "closed")
      yield* broker.produce(topic, on(0, "hangs", "hangs"))
      yield* TestClock.adjust("7 seconds")
      assert.strictEqual(yield* breakerOf(consumer).state, "open")
      yield* consumer.close
    }).pipe(onBroker(one))
  )

  it.effect("probes with the next record after a final failure of a probe", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      let down = true
      const consumer = yield* KafkaConsumer.make({
        ...options,
        circuitBreaker,
        retry: RetryPolicy.fixed({ retries: 9, delay: "1 second" }),
        handler: calls.handler(
          ({ value }): Effect.Effect<void, unknown> =>
            down ? Effect.fail("down") : value === "a" ? HandlerError.nonRetryable("never") : Effect.void
        )
      })
      yield* broker.produce(topic, on(0, "a", "b", "c"))
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual(yield* breakerOf(consumer).state, "open")
      down = false
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(calls.attempts().slice(4), [
        ["a", 4, 8_000],
        ["b", 1, 8_000],
        ["c", 1, 8_000]
      ])
      assert.strictEqual(yield* breakerOf(consumer).state, "closed")
    }).pipe(onBroker(one))
  )

  it.effect("probes with a record of another partition after a failed probe", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const consumer = yield* KafkaConsumer.make({
        ...options,
        circuitBreaker,
        retry: RetryPolicy.fixed({ retries: 9, delay: "1 second" }),
        handler: calls.handler(({ partition }) => (partition === 0 ? Effect.fail("bad") : Effect.void))
      })
      yield* broker.produce(topic, on(0, "bad"))
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* breakerOf(consumer).state, "open")
      yield* broker.produce(topic, on(1, "good", "good"))
      yield* TestClock.adjust("20 seconds")
      assert.deepStrictEqual(yield* committed, { 0: 0, 1: 2 })
      yield* consumer.close
    }).pipe(onBroker(two))
  )

  /** Revokes every partition, so the test doesn't depend on which one the probe is in. */
  const eager = ["range"] as const

  const opened = Effect.fnUntraced(function* (
    probe: (calls: number) => Effect.Effect<unknown, string>,
    assignors: ReadonlyArray<"range" | "cooperative-sticky"> = ["cooperative-sticky"]
  ) {
    const broker = yield* MemoryBroker
    const calls = makeCalls()
    const consumer = yield* KafkaConsumer.make({
      ...options,
      assignors,
      circuitBreaker,
      retry: RetryPolicy.fixed({ retries: 9, delay: "1 second" }),
      revokeTimeout: "3 seconds",
      handler: calls.handler(() => (calls.all.length < 5 ? Effect.fail("down") : probe(calls.all.length)))
    })
    yield* broker.produce(topic, [...on(0, "a", "b"), ...on(1, "c", "d")])
    yield* TestClock.adjust("2 seconds")
    assert.strictEqual(yield* breakerOf(consumer).state, "open")
    assert.strictEqual(calls.all.length, 4)
    return { calls, consumer }
  })

  it.effect("doesn't hold up a drain while it is open; held records stay uncommitted", () =>
    Effect.gen(function* () {
      const { consumer } = yield* opened(() => Effect.void)
      const before = yield* TestClock.currentTimeMillis
      const report = yield* consumer.close
      assert.strictEqual(yield* TestClock.currentTimeMillis, before)
      assert.strictEqual(report.handled + report.discarded, 0)
      assert.deepStrictEqual(yield* committed, { 0: 0, 1: 0 })
    }).pipe(onBroker(two))
  )

  it.effect("doesn't hold up a rebalance while it is open", () =>
    Effect.gen(function* () {
      const { consumer } = yield* opened(() => Effect.void)
      const joining = yield* Effect.fork(KafkaConsumer.make({ ...options, handler: () => Effect.void }))
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(joining)
      assert.strictEqual(yield* breakerOf(consumer).state, "open")
      assert.strictEqual((yield* consumer.assignment).length, 1)
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(yield* committed, { 0: 2, 1: 2 })
    }).pipe(onBroker(two))
  )

  it.effect("probes again after a rebalance revokes the probe", () =>
    Effect.gen(function* () {
      const { calls, consumer } = yield* opened((call) => (call === 5 ? Effect.never : Effect.void), eager)
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(calls.all.length, 5)
      assert.strictEqual(yield* breakerOf(consumer).state, "halfOpen")
      const joining = yield* Effect.fork(
        KafkaConsumer.make({ ...options, assignors: eager, handler: () => Effect.void })
      )
      yield* TestClock.adjust("15 seconds")
      yield* Fiber.join(joining)
      assert.strictEqual(yield* breakerOf(consumer).state, "closed")
      assert.deepStrictEqual(yield* committed, { 0: 2, 1: 2 })
    }).pipe(onBroker(two))
  )

  it.effect("never probes with a paused partition, and still holds it when all are resumed", () =>
    Effect.gen(function* () {
      const { calls, consumer } = yield* opened(() => Effect.fail("down"))
      yield* consumer.pause()
      yield* TestClock.adjust("20 seconds")
      assert.strictEqual(yield* breakerOf(consumer).state, "halfOpen")
      assert.strictEqual(calls.all.length, 4)
      yield* consumer.resume()
      yield* quiet
      assert.strictEqual(yield* breakerOf(consumer).state, "open")
      assert.strictEqual(calls.all.length, 5)
      yield* consumer.close
    }).pipe(onBroker(two))
  )

  it.effect("counts failures within a time window", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const consumer = yield* KafkaConsumer.make({
        ...options,
        circuitBreaker: { ...circuitBreaker, window: { time: "10 seconds" } },
        retry: RetryPolicy.fixed({ retries: 99, delay: "3 seconds" }),
        handler: calls.handler(() => Effect.fail("down"))
      })
      yield* broker.produce(topic, on(0, "a"))
      yield* TestClock.adjust("8 seconds")
      yield* broker.produce(topic, on(1, "b"))
      yield* TestClock.adjust("500 millis")
      // At 0, 3, 6 and about 8 seconds.
      assert.strictEqual(calls.all.length, 4)
      assert.strictEqual(yield* breakerOf(consumer).state, "open")
      yield* consumer.close
    }).pipe(onBroker(two))
  )

  it.effect("is off by default, and names an invalid option", () =>
    Effect.gen(function* () {
      const consumer = yield* KafkaConsumer.make({ ...options, handler: () => Effect.void })
      assert.isUndefined(consumer.breaker)
      const error = yield* Effect.flip(
        KafkaConsumer.make({
          ...options,
          circuitBreaker: { failureRatio: 50, openTime: "-1 second" },
          commitInterval: 0,
          handler: () => Effect.void
        })
      )
      assert.strictEqual(
        error.message,
        'KafkaConsumer: commitInterval must be a duration above zero and below 25 days, not 0; circuitBreaker.failureRatio must be a number above 0, up to 1, not 50; circuitBreaker.openTime must be a duration of at least 1 ms and below 25 days, not "-1 second"'
      )
    }).pipe(onBroker(one))
  )
})
