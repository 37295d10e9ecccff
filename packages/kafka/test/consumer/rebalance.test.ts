import { assert, describe, it } from "@effect/vitest"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import { MemoryBroker } from "@spillway/memory/MemoryBroker"
import type { Consumer } from "@spillway/transport/Consumer"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import {
  options as anyOptions,
  committed,
  group,
  makeCalls,
  onBroker,
  quiet,
  topic
} from "../support/consumerTesting.js"

const options = { ...anyOptions, assignors: ["range"] as const }

const topics = { [topic]: 4 }

const partitions = (consumer: Consumer) =>
  Effect.map(consumer.assignment, (all) => all.map(({ partition }) => partition))

const onEachPartition = (value: string) =>
  [0, 1, 2, 3].map((partition) => ({ value: `${value}${partition}`, partition }))

describe("an eager rebalance", () => {
  it.effect("moves partitions to a member that joins, and back when it leaves", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const consuming = { ...options, handler: calls.handler(() => Effect.void) }
      const first = yield* KafkaConsumer.make(consuming)
      assert.deepStrictEqual(yield* partitions(first), [0, 1, 2, 3])
      const scope = yield* Scope.make()
      const joining = yield* Effect.fork(Scope.extend(KafkaConsumer.make(consuming), scope))
      yield* TestClock.adjust("3 seconds")
      const second = yield* Fiber.join(joining)
      yield* quiet
      assert.sameMembers([...(yield* partitions(first)), ...(yield* partitions(second))], [0, 1, 2, 3])
      assert.strictEqual((yield* partitions(first)).length, 2)
      yield* broker.produce(topic, onEachPartition("a"))
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* first.report).handled, 2)
      assert.strictEqual((yield* second.report).handled, 2)
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(yield* partitions(second), [])
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(yield* partitions(first), [0, 1, 2, 3])
      yield* broker.produce(topic, onEachPartition("b"))
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* first.report).handled, 6)
      assert.strictEqual(new Set(calls.values()).size, calls.all.length)
      assert.deepStrictEqual(yield* committed, { 0: 2, 1: 2, 2: 2, 3: 2 })
    }).pipe(onBroker({ topics }))
  )

  it.effect("lets running handlers finish, so that no record settles twice", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const settled: Array<string> = []
      const consuming = {
        ...options,
        handler: calls.handler(({ value }) =>
          Effect.zipRight(
            Effect.sleep("7 seconds"),
            Effect.sync(() => settled.push(value))
          )
        )
      }
      const first = yield* KafkaConsumer.make(consuming)
      yield* broker.produce(topic, [...onEachPartition("a"), ...onEachPartition("b"), ...onEachPartition("c")])
      yield* TestClock.adjust("1 second")
      const joining = yield* Effect.fork(KafkaConsumer.make(consuming))
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* broker.group(group)).state, "PreparingRebalance")
      yield* TestClock.adjust("24 seconds")
      const second = yield* Fiber.join(joining)
      assert.strictEqual((yield* partitions(second)).length, 2)
      assert.strictEqual((yield* partitions(first)).length, 2)
      assert.strictEqual(settled.length, 12)
      assert.strictEqual(new Set(settled).size, 12)
      assert.strictEqual(calls.all.length, 12)
      assert.deepStrictEqual(yield* committed, { 0: 3, 1: 3, 2: 3, 3: 3 })
    }).pipe(onBroker({ topics }))
  )

  it.effect("interrupts a handler that exceeds revokeTimeout, and the next owner starts at attempt 1", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const interrupted: Array<string> = []
      const first = yield* KafkaConsumer.make({
        ...options,
        revokeTimeout: "5 seconds",
        rebalanceTimeout: "20 seconds",
        handler: calls.handler(({ value }) =>
          Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted.push(value)))
        )
      })
      yield* broker.produce(topic, onEachPartition("a"))
      yield* TestClock.adjust("1 second")
      const joining = yield* Effect.fork(KafkaConsumer.make({ ...options, handler: calls.handler(() => Effect.void) }))
      // Heartbeat at 3 s, deadline at 8 s.
      yield* TestClock.adjust("6900 millis")
      assert.deepStrictEqual(interrupted, [])
      yield* TestClock.adjust("200 millis")
      assert.strictEqual(interrupted.length, 4)
      const second = yield* Fiber.join(joining)
      yield* TestClock.adjust("1 second")
      const moved = yield* partitions(second)
      assert.strictEqual(moved.length, 2)
      const again = calls.all.filter(({ at, partition }) => at > 1_000 && moved.includes(partition))
      assert.deepStrictEqual(
        again.map(({ attempt }) => attempt),
        [1, 1]
      )
      assert.strictEqual((yield* second.report).handled, 2)
      const closing = yield* Effect.fork(first.close)
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual((yield* Fiber.join(closing)).handled, 0)
    }).pipe(onBroker({ topics }))
  )

  it.effect("finds added partitions, and reads them from their start", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const consumer = yield* KafkaConsumer.make({
        ...options,
        initialOffset: "latest",
        topics: [topic, "later"],
        metadataMaxAge: "5 seconds",
        handler: calls.handler(() => Effect.void)
      })
      yield* broker.createTopic("later", 2)
      yield* broker.produce("later", [{ value: "a" }, { value: "b", partition: 1 }])
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* partitions(consumer), [0, 1, 0, 1, 2, 3])
      assert.sameMembers([...calls.values()], ["a", "b"])
    }).pipe(onBroker({ topics }))
  )
})
