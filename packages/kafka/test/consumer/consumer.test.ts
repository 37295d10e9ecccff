import { assert, describe, it } from "@effect/vitest"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import { MemoryBroker } from "@spillway/memory/MemoryBroker"
import type { Consumer } from "@spillway/transport/Consumer"
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { committed, group, makeCalls, onBroker, options, quiet, topic } from "../support/consumerTesting.js"

const topics = { [topic]: 2 }

class Orders extends Context.Tag("test/Orders")<Orders, Consumer>() {}

/**
 * The fibers and the sleeps that remain after ten minutes. `TestClock` keeps the sleep of an interrupted fiber until it
 * is due, so only repeated sleeps remain.
 */
const leftovers = Effect.gen(function* () {
  yield* TestClock.adjust("10 minutes")
  return { fibers: Array.from(yield* Fiber.roots).length, sleeps: Chunk.size(yield* TestClock.sleeps()) }
})

describe("lifecycle", () => {
  it.effect("shows Starting, Running, Draining and Stopped", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const running = yield* Deferred.make<void>()
      const consumer = yield* KafkaConsumer.make({ ...options, handler: calls.handler(() => Effect.sleep("1 second")) })
      assert.strictEqual(yield* consumer.status, "Running")
      const statuses = yield* consumer.changes.pipe(
        Stream.tap(() => Deferred.succeed(running, undefined)),
        Stream.runCollect,
        Effect.fork
      )
      yield* Deferred.await(running)
      yield* broker.produce(topic, [{ value: "a" }])
      yield* quiet
      yield* consumer.stop
      yield* quiet
      assert.strictEqual(yield* consumer.status, "Draining")
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* consumer.wait).handled, 1)
      assert.strictEqual(yield* consumer.status, "Stopped")
      assert.deepStrictEqual(Chunk.toReadonlyArray(yield* Fiber.join(statuses)), ["Running", "Draining", "Stopped"])
      // Stopping twice changes nothing.
      yield* consumer.stop
      assert.strictEqual((yield* consumer.close).handled, 1)
    }).pipe(onBroker({ topics }))
  )

  it.effect("can be stopped while it waits for a broker", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      yield* broker.stop
      const starting = yield* Effect.fork(KafkaConsumer.run({ ...options, handler: () => Effect.void }))
      yield* TestClock.adjust("5 seconds")
      const stopping = yield* Effect.fork(Fiber.interrupt(starting))
      yield* TestClock.adjust("10 seconds")
      assert.isTrue(Exit.isInterrupted(yield* Fiber.join(stopping)))
      assert.strictEqual((yield* leftovers).sleeps, 0)
    }).pipe(onBroker({ topics }))
  )

  it.effect("run drains when it is interrupted, and ends as interrupted", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const running = yield* Effect.fork(
        KafkaConsumer.run({ ...options, handler: calls.handler(() => Effect.sleep("5 seconds")) })
      )
      yield* quiet
      yield* broker.produce(topic, [{ value: "a" }, { value: "b" }])
      yield* TestClock.adjust("1 second")
      const stopping = yield* Effect.fork(Fiber.interrupt(running))
      yield* TestClock.adjust("4 seconds")
      assert.isTrue(Exit.isInterrupted(yield* Fiber.join(stopping)))
      assert.deepStrictEqual(yield* committed, { 0: 1, 1: 0 })
      assert.strictEqual((yield* broker.group(group)).state, "Empty")
    }).pipe(onBroker({ topics }))
  )

  it.effect("run drains when its `until` effect ends, and returns the report", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      yield* broker.produce(topic, [{ value: "a" }, { value: "b", partition: 1 }])
      const running = yield* Effect.fork(
        KafkaConsumer.run({ ...options, handler: () => Effect.void }, Effect.sleep("2 seconds"))
      )
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* Fiber.join(running), {
        handled: 2,
        retried: 0,
        deadLettered: 0,
        discarded: 0,
        committed: [
          { topic, partition: 0, offset: 1 },
          { topic, partition: 1, offset: 1 }
        ]
      })
    }).pipe(onBroker({ topics }))
  )

  it.effect("layer waits for the join, and drains when it is released", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      yield* Effect.gen(function* () {
        assert.strictEqual((yield* broker.group(group)).state, "Stable")
        yield* broker.produce(topic, [{ value: "a" }])
        yield* quiet
      }).pipe(Effect.provide(KafkaConsumer.layer({ ...options, handler: calls.handler(() => Effect.void) })))
      assert.deepStrictEqual(calls.values(), ["a"])
      assert.deepStrictEqual(yield* committed, { 0: 1, 1: 0 })
      assert.strictEqual((yield* broker.group(group)).state, "Empty")
    }).pipe(onBroker({ topics }))
  )

  it.effect("layerTag provides the handle, and its handler uses services of other layers", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      class Seen extends Context.Tag("test/Seen")<Seen, Array<string>>() {}
      const seen: Array<string> = []
      const live = KafkaConsumer.layerTag(Orders, {
        ...options,
        handler: ({ value }) => Effect.map(Seen, (seen) => seen.push(value))
      }).pipe(Layer.provide(Layer.succeed(Seen, seen)))
      const report = yield* Effect.gen(function* () {
        const orders = yield* Orders
        assert.strictEqual(orders.groupId, group)
        assert.deepStrictEqual(yield* orders.assignment, [
          { topic, partition: 0 },
          { topic, partition: 1 }
        ])
        yield* broker.produce(topic, [{ value: "a" }])
        yield* quiet
        return yield* orders.close
      }).pipe(Effect.provide(live))
      assert.strictEqual(report.handled, 1)
      assert.deepStrictEqual(seen, ["a"])
    }).pipe(onBroker({ topics }))
  )

  it.effect("layerTagTransactional provides the handle of a transactional consumer", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const live = KafkaConsumer.layerTagTransactional(Orders, {
        ...options,
        transactionalId: "orders-1",
        handler: ({ value }) => Effect.succeed([{ topic, partition: 1, value: `${value} again` }])
      })
      const report = yield* Effect.gen(function* () {
        const orders = yield* Orders
        yield* orders.pause([{ topic, partition: 1 }])
        yield* broker.produce(topic, [{ value: "a", partition: 0 }])
        yield* quiet
        return yield* orders.close
      }).pipe(Effect.provide(live))
      assert.strictEqual(report.handled, 1)
    }).pipe(onBroker({ topics }))
  )

  it.effect("leaves no timer and no fiber behind when it is closed", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const before = yield* leftovers
      assert.strictEqual(before.sleeps, 0)
      yield* broker.produce(topic, [{ value: "bad" }, { value: "b", partition: 1 }])
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* KafkaConsumer.make({
            ...options,
            handler: ({ value }) => (value === "bad" ? Effect.fail("bad") : Effect.void)
          })
          yield* TestClock.adjust("500 millis")
          assert.isAbove(Chunk.size(yield* TestClock.sleeps()), 0)
        })
      )
      assert.deepStrictEqual(yield* leftovers, before)
    }).pipe(onBroker({ topics }))
  )
})
