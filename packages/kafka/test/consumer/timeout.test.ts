import { assert, describe, it } from "@effect/vitest"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import { MemoryBroker } from "@spillway/memory/MemoryBroker"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import { HandlerTimeout } from "@spillway/transport/HandlerError"
import { Producer } from "@spillway/transport/Producer"
import * as RetryPolicy from "@spillway/transport/RetryPolicy"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import { committed, makeCalls, onBroker, options, topic } from "../support/consumerTesting.js"

const retry = RetryPolicy.fixed({ retries: 3, delay: "1 second" })
const dlq = "orders-dlq"
const handlerTimeout = "10 seconds"

describe("handlerTimeout", () => {
  it.effect("interrupts a hanging handler at most 10 % late, and retries its record", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const interruptedAt: Array<number> = []
      const consumer = yield* KafkaConsumer.make({
        ...options,
        retry,
        handlerTimeout,
        handler: calls.handler(({ attempt, value }) =>
          value === "slow" && attempt <= 2
            ? Effect.onInterrupt(Effect.never, () =>
                Effect.map(TestClock.currentTimeMillis, (now) => interruptedAt.push(now))
              )
            : Effect.void
        )
      })
      yield* broker.produce(topic, [{ value: "slow" }, { value: "next" }])
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(interruptedAt.length, 2)
      const [first, second] = interruptedAt as [number, number]
      assert.isAtLeast(first, 10_000)
      assert.isAtMost(first, 11_000)
      assert.isAtLeast(second, first + 1_000 + 10_000)
      assert.isAtMost(second, first + 1_000 + 11_000)
      assert.deepStrictEqual(calls.attempts(), [
        ["slow", 1, 0],
        ["slow", 2, first + 1_000],
        ["slow", 3, second + 1_000],
        ["next", 1, second + 1_000]
      ])
      assert.deepStrictEqual(yield* committed, { 0: 2 })
      assert.strictEqual(yield* consumer.status, "Running")
    }).pipe(onBroker({ topics: { [topic]: 1 } }))
  )

  it.effect("is named in the log and in the dead letter, for any attempt", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const producer = yield* KafkaProducer.make()
      const lines: Array<string> = []
      const consumer = yield* KafkaConsumer.make({
        ...options,
        retry: RetryPolicy.fixed({ retries: 1, delay: "1 second" }),
        handlerTimeout,
        deadLetter: DeadLetter.topic(dlq),
        handler: () => Effect.never
      }).pipe(
        Effect.provideService(Producer, producer),
        Effect.provide(
          Logger.replace(
            Logger.defaultLogger,
            Logger.make(({ annotations, message }) => {
              const errorType = Option.getOrUndefined(HashMap.get(annotations, "errorType"))
              if (errorType !== undefined) lines.push(`${message}: ${errorType}`)
            })
          )
        )
      )
      yield* broker.produce(topic, [{ value: "a" }])
      yield* TestClock.adjust("30 seconds")
      assert.deepStrictEqual(lines, [
        "Handling failed; retrying: HandlerTimeout",
        "Handling failed permanently; publishing a dead letter: HandlerTimeout"
      ])
      const [letter] = yield* broker.records(dlq)
      const metadata = Option.getOrThrow(DeadLetter.metadata({ ...letter!, topic: dlq }))
      const { message } = new HandlerTimeout({ timeout: Duration.seconds(10) })
      assert.deepInclude(metadata, { errorType: "HandlerTimeout", errorMessage: message, retryCount: 1 })
      const { deadLettered, retried } = yield* consumer.report
      assert.deepStrictEqual({ deadLettered, retried }, { deadLettered: 1, retried: 1 })
    }).pipe(onBroker({ topics: { [topic]: 1, [dlq]: 1 } }))
  )

  it.effect("doesn't interrupt short handlers that together take longer", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      yield* KafkaConsumer.make({
        ...options,
        retry,
        handlerTimeout,
        handler: calls.handler(() => Effect.sleep("9 seconds"))
      })
      yield* broker.produce(
        topic,
        ["a", "b", "c", "d"].map((value) => ({ value }))
      )
      yield* TestClock.adjust("40 seconds")
      assert.deepStrictEqual(calls.attempts(), [
        ["a", 1, 0],
        ["b", 1, 9_000],
        ["c", 1, 18_000],
        ["d", 1, 27_000]
      ])
      assert.deepStrictEqual(yield* committed, { 0: 4 })
    }).pipe(onBroker({ topics: { [topic]: 1 } }))
  )

  it.effect("retries a handler whose finalizer dies when it is interrupted", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const consumer = yield* KafkaConsumer.make({
        ...options,
        retry,
        handlerTimeout,
        handler: calls.handler(({ attempt }) =>
          attempt <= 2 ? Effect.onInterrupt(Effect.never, () => Effect.die("finalizer")) : Effect.void
        )
      })
      yield* broker.produce(topic, [{ value: "a" }])
      yield* TestClock.adjust("30 seconds")
      assert.deepStrictEqual(
        calls.all.map(({ attempt }) => attempt),
        [1, 2, 3]
      )
      assert.strictEqual(yield* consumer.status, "Running")
      assert.deepStrictEqual(yield* committed, { 0: 1 })
    }).pipe(onBroker({ topics: { [topic]: 1 } }))
  )

  it.effect("does not commit past a handler that hangs and can't be interrupted", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const hanging = yield* Effect.makeLatch(false)
      const consumer = yield* KafkaConsumer.make({
        ...options,
        retry,
        handlerTimeout,
        handler: calls.handler(({ value }) => (value === "a" ? Effect.uninterruptible(hanging.await) : Effect.void))
      })
      yield* broker.produce(topic, [{ value: "a" }, { value: "b" }])
      yield* TestClock.adjust("20 seconds")
      assert.deepStrictEqual(calls.attempts(), [["a", 1, 0]])
      assert.deepStrictEqual(yield* committed, { 0: 0 })
      // The drain still ends a second after its deadline.
      const closing = yield* Effect.fork(consumer.close)
      yield* TestClock.adjust("31 seconds")
      assert.deepStrictEqual((yield* closing).handled, 0)
      yield* hanging.open
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* committed, { 0: 0 })
    }).pipe(onBroker({ topics: { [topic]: 1 } }))
  )
})
