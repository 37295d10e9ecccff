import { assert, describe, it } from "@effect/vitest"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import { Wire } from "@spillway/kafka/Wire"
import { MemoryBroker } from "@spillway/memory/MemoryBroker"
import * as RetryPolicy from "@spillway/transport/RetryPolicy"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import { committed, makeCalls, onBroker, options, quiet, topic } from "../support/consumerTesting.js"

const hour = 3_600_000

/** The test's clock, with a wall clock that can be set. */
const settable = Effect.map(Effect.clock, (clock) => {
  let offset = 0
  const wall = () => clock.unsafeCurrentTimeMillis() + offset
  return {
    clock: Object.assign(Object.create(clock) as typeof clock, {
      unsafeCurrentTimeNanos: () => clock.unsafeCurrentTimeNanos(),
      unsafeCurrentTimeMillis: wall,
      currentTimeMillis: Effect.sync(wall)
    }),
    set: (millis: number) => {
      offset += millis
    }
  }
})

describe("a consumer whose wall clock is set back", () => {
  it.effect("interrupts a handler that hangs all the same", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const { clock, set } = yield* settable
      const calls = makeCalls()
      yield* KafkaConsumer.make({
        ...options,
        handlerTimeout: "10 seconds",
        retry: RetryPolicy.fixed({ retries: 1, delay: "1 second" }),
        handler: calls.handler(({ attempt }) => (attempt === 1 ? Effect.never : Effect.void))
      }).pipe(Effect.withClock(clock))
      yield* broker.produce(topic, [{ value: "a" }])
      yield* TestClock.adjust("2 seconds")
      set(-hour)
      yield* TestClock.adjust("15 seconds")
      assert.deepStrictEqual(
        calls.all.map(({ attempt }) => attempt),
        [1, 2]
      )
      assert.deepStrictEqual(yield* committed, { 0: 1 })
    }).pipe(onBroker({ topics: { [topic]: 1 } }))
  )

  it.effect("starts nothing new once its session may have expired", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const client = yield* broker.client("a")
      const { clock, set } = yield* settable
      const calls = makeCalls()
      yield* KafkaConsumer.make({
        ...options,
        sessionTimeout: "10 seconds",
        handler: calls.handler(() => Effect.sleep("1 second"))
      }).pipe(Effect.provideService(Wire, client.wire), Effect.withClock(clock))
      yield* broker.produce(
        topic,
        Array.from({ length: 60 }, (_, i) => ({ value: `${i}` }))
      )
      yield* TestClock.adjust("4500 millis")
      yield* client.cut
      set(-hour)
      yield* TestClock.adjust("10 seconds")
      const before = calls.all.length
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(calls.all.length, before)
      yield* client.restore
      yield* TestClock.adjust("90 seconds")
      assert.deepStrictEqual(yield* committed, { 0: 60 })
      yield* quiet
    }).pipe(onBroker({ topics: { [topic]: 1 } }))
  )
})
