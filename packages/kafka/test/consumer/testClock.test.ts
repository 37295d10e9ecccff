/**
 * Consumers in a user's test under `TestClock`.
 */
import { assert, describe, it } from "@effect/vitest"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import { MemoryBroker } from "@spillway/memory/MemoryBroker"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import { committed, makeCalls, onBroker, options, topic } from "../support/consumerTesting.js"

const topics = { [topic]: 2 }

describe("under TestClock", () => {
  it.effect.each(["range", "cooperative-sticky"] as const)("two consumers start one after the other, with %s", (name) =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const make = KafkaConsumer.make({ ...options, assignors: [name], handler: calls.handler(() => Effect.void) })
      const one = yield* make
      const other = yield* make
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(
        [yield* one.assignment, yield* other.assignment].map((assigned) => assigned.length),
        [1, 1]
      )
      yield* broker.produce(topic, [{ value: "a" }, { value: "b", partition: 1 }])
      yield* TestClock.adjust("10 seconds")
      assert.sameMembers([...calls.values()], ["a", "b"])
      assert.deepStrictEqual(yield* committed, { 0: 1, 1: 1 })
    }).pipe(onBroker({ topics }))
  )

  it.effect("a member that waits while the test advances the clock doesn't advance it", () =>
    Effect.gen(function* () {
      const make = KafkaConsumer.make({ ...options, handler: () => Effect.void })
      yield* make
      const joining = yield* Effect.fork(make)
      for (let i = 1; i <= 12; i++) {
        yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 60)))
        yield* TestClock.adjust(1)
        assert.strictEqual(yield* Effect.map(Effect.clock, (clock) => clock.unsafeCurrentTimeMillis()), i)
      }
      yield* TestClock.adjust("3 seconds")
      yield* joining
    }).pipe(onBroker({ topics }))
  )

  it.effect("five idle minutes need few real timers", () =>
    Effect.gen(function* () {
      yield* KafkaConsumer.make({ ...options, handler: () => Effect.void })
      const { setTimeout } = globalThis
      let timers = 0
      globalThis.setTimeout = Object.assign((...args: Parameters<typeof setTimeout>) => {
        if (args[1] === 0) timers++
        return setTimeout(...args)
      }, setTimeout)
      yield* Effect.ensuring(
        TestClock.adjust("5 minutes"),
        Effect.sync(() => {
          globalThis.setTimeout = setTimeout
        })
      )
      // A timer takes a millisecond or more.
      assert.isBelow(timers, 50)
    }).pipe(onBroker({ topics }))
  )
})
