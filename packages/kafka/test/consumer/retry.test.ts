import { assert, describe, it } from "@effect/vitest"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import { MemoryBroker } from "@spillway/memory/MemoryBroker"
import * as HandlerError from "@spillway/transport/HandlerError"
import * as RetryPolicy from "@spillway/transport/RetryPolicy"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as TestClock from "effect/TestClock"
import { committed, makeCalls, onBroker, options, quiet, topic } from "../support/consumerTesting.js"

const retry = RetryPolicy.exponential({ retries: 3, jitter: false })

const failing =
  (times: number) =>
  ({ attempt }: { readonly attempt: number }) =>
    attempt <= times ? Effect.fail("not yet") : Effect.void

describe("retries", () => {
  it.effect("call a handler again after the delays of the schedule until it succeeds", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      yield* KafkaConsumer.make({ ...options, retry, handler: calls.handler(failing(2)) })
      yield* broker.produce(topic, [{ value: "a" }, { value: "b" }])
      yield* TestClock.adjust("999 millis")
      assert.strictEqual(calls.all.length, 1)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(calls.all.length, 2)
      yield* TestClock.adjust("1999 millis")
      assert.strictEqual(calls.all.length, 2)
      assert.deepStrictEqual(yield* committed, { 0: 0 })
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(calls.attempts(), [
        ["a", 1, 0],
        ["a", 2, 1_000],
        ["a", 3, 3_000],
        ["b", 1, 3_000],
        ["b", 2, 4_000],
        ["b", 3, 6_000]
      ])
      assert.deepStrictEqual(yield* committed, { 0: 2 })
    }).pipe(onBroker({ topics: { [topic]: 1 } }))
  )

  it.effect("follow any schedule, and prefer the delay of a TemporaryError", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      yield* KafkaConsumer.make({
        ...options,
        retry: Schedule.intersect(Schedule.linear("100 millis"), Schedule.recurs(3)),
        handler: calls.handler(
          ({ attempt }): Effect.Effect<never, HandlerError.TemporaryError | string> =>
            attempt === 2 ? HandlerError.temporary("busy", "5 seconds") : Effect.fail("not yet")
        )
      })
      yield* broker.produce(topic, [{ value: "a" }])
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(
        calls.all.map(({ at, attempt }) => [attempt, at]),
        [
          [1, 0],
          [2, 100],
          [3, 5_100],
          [4, 5_400]
        ]
      )
      assert.deepStrictEqual(yield* committed, { 0: 1 })
    }).pipe(onBroker({ topics: { [topic]: 1 } }))
  )

  it.effect("keep the test clock at whole milliseconds, with any delays of a schedule", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      yield* KafkaConsumer.make({
        ...options,
        retry: Schedule.jittered(Schedule.intersect(Schedule.spaced("123 millis"), Schedule.recurs(20))),
        handler: calls.handler(() => Effect.zipRight(Clock.currentTimeNanos, Effect.fail("not yet")))
      })
      yield* broker.produce(topic, [{ value: "a" }])
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(calls.all.length, 21)
      assert.isTrue(calls.all.every(({ at }) => Number.isInteger(at)))
      assert.deepStrictEqual(yield* committed, { 0: 1 })
    }).pipe(onBroker({ topics: { [topic]: 1 } }))
  )

  it.effect("hold up their own partition only", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const consumer = yield* KafkaConsumer.make({
        ...options,
        retry,
        handler: calls.handler(({ attempt, value }) =>
          value === "bad" && attempt < 3 ? Effect.fail("not yet") : Effect.void
        )
      })
      const batch = [{ value: "bad" }, { value: "a" }, ...["b", "c", "d"].map((value) => ({ value, partition: 1 }))]
      yield* broker.produce(topic, batch)
      yield* quiet
      assert.sameMembers([...calls.values()], ["bad", "b", "c", "d"])
      yield* TestClock.adjust("1500 millis")
      yield* broker.produce(topic, [{ value: "e", partition: 1 }])
      yield* quiet
      assert.sameMembers([...calls.values()], ["bad", "b", "c", "d", "bad", "e"])
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(calls.values().slice(-2), ["bad", "a"])
      const { handled, retried } = yield* consumer.report
      assert.deepStrictEqual({ handled, retried }, { handled: 6, retried: 2 })
    }).pipe(onBroker({ topics: { [topic]: 2 } }))
  )

  const interruptFiber = Effect.withFiberRuntime<never>((fiber) =>
    Effect.zipRight(Fiber.interruptFork(fiber), Effect.never)
  )

  it.effect.each<readonly [string, Effect.Effect<unknown, unknown>]>([
    ["dies", Effect.die(new Error("defect"))],
    [
      "throws",
      Effect.sync(() => {
        throw new Error("thrown")
      })
    ],
    ["interrupts itself", Effect.interrupt],
    ["has its fiber interrupted", interruptFiber],
    ["joins an interrupted fiber", Effect.flatMap(Effect.fork(Effect.interrupt), Fiber.join)],
    ["loses a parallel branch to a defect", Effect.all([Effect.die("one"), Effect.never], { concurrency: 2 })]
  ])("continue after a handler that %s", ([, failure]) =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const consumer = yield* KafkaConsumer.make({
        ...options,
        retry,
        handler: calls.handler(({ attempt, value }) => (value === "a" && attempt < 3 ? failure : Effect.void))
      })
      yield* broker.produce(topic, [{ value: "a" }, { value: "b" }])
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(calls.attempts(), [
        ["a", 1, 0],
        ["a", 2, 1_000],
        ["a", 3, 3_000],
        ["b", 1, 3_000]
      ])
      assert.deepStrictEqual(yield* committed, { 0: 2 })
      assert.strictEqual(yield* consumer.status, "Running")
    }).pipe(onBroker({ topics: { [topic]: 1 } }))
  )

  it.effect("continue after a handler that throws instead of returning an Effect", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const values: Array<string> = []
      yield* KafkaConsumer.make({
        ...options,
        retry,
        handler: ({ attempt, value }) => {
          values.push(`${value}${attempt}`)
          if (value === "a" && attempt === 1) throw new Error("thrown")
          return Effect.void
        }
      })
      yield* broker.produce(topic, [{ value: "a" }, { value: "b" }])
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(values, ["a1", "a2", "b1"])
    }).pipe(onBroker({ topics: { [topic]: 1 } }))
  )
})
