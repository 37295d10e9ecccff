import { assert, describe, it } from "@effect/vitest"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import type { FetchRequest } from "@spillway/kafka/Protocol"
import { Wire } from "@spillway/kafka/Wire"
import { MemoryBroker } from "@spillway/memory/MemoryBroker"
import * as RetryPolicy from "@spillway/transport/RetryPolicy"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { committed, group, makeCalls, observed, onBroker, options, quiet, topic } from "../support/consumerTesting.js"

const two = { topics: { [topic]: 2 } }
const [first, second] = [0, 1].map((partition) => ({ topic, partition })) as [
  { topic: string; partition: number },
  { topic: string; partition: number }
]

describe("pause", () => {
  it.effect("starts nothing more, lets records in flight end and be committed, and stays a member", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const consumer = yield* KafkaConsumer.make({
        ...options,
        handler: calls.handler(() => Effect.sleep("5 seconds"))
      })
      const seen = yield* Effect.fork(Stream.runCollect(consumer.changes))
      yield* broker.produce(topic, [{ value: "a" }, { value: "b" }])
      yield* quiet
      yield* consumer.pause()
      assert.strictEqual(yield* consumer.status, "Paused")
      assert.deepStrictEqual(yield* consumer.paused, [first, second])
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(calls.attempts(), [["a", 1, 0]])
      assert.deepStrictEqual(yield* committed, { 0: 1, 1: 0 })
      assert.strictEqual((yield* broker.group(group)).generation, 1)
      yield* consumer.resume()
      assert.strictEqual(yield* consumer.status, "Running")
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(calls.attempts(), [
        ["a", 1, 0],
        ["b", 1, 60_000]
      ])
      yield* consumer.close
      const statuses = Chunk.toReadonlyArray(yield* Fiber.join(seen))
      assert.deepStrictEqual(statuses, ["Running", "Paused", "Running", "Draining", "Stopped"])
    }).pipe(onBroker(two))
  )

  it.effect("fetches only partitions that aren't paused, and keeps the buffered records", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const fetched: Array<ReadonlyArray<number>> = []
      const wire = observed((yield* broker.client()).wire, (api, request) =>
        Effect.sync(() => {
          if (api !== "Fetch") return
          fetched.push((request as FetchRequest).topics.flatMap((asked) => asked.partitions.map((p) => p.partition)))
        })
      )
      const calls = makeCalls()
      const consumer = yield* KafkaConsumer.make({ ...options, handler: calls.handler(() => Effect.void) }).pipe(
        Effect.provideService(Wire, wire)
      )
      yield* consumer.pause([first])
      assert.strictEqual(yield* consumer.status, "Running")
      // A long poll that was already parked returns this one.
      yield* broker.produce(topic, [{ value: "kept", partition: 0 }])
      yield* TestClock.adjust("2 seconds")
      fetched.length = 0
      yield* broker.produce(topic, [
        { value: "a", partition: 0 },
        { value: "b", partition: 1 }
      ])
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(calls.values(), ["b"])
      assert.deepStrictEqual(new Set(fetched.flat()), new Set([1]))
      // The broker waits as long as if there were no other partition.
      assert.isAtMost(fetched.length, 25)
      yield* consumer.pause([second])
      assert.strictEqual(yield* consumer.status, "Paused")
      yield* TestClock.adjust("1 second")
      fetched.length = 0
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(fetched, [])
      yield* consumer.resume([first])
      assert.strictEqual(yield* consumer.status, "Running")
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(calls.values(), ["b", "kept", "a"])
      assert.deepStrictEqual(yield* consumer.paused, [second])
    }).pipe(onBroker(two))
  )

  it.effect("lets a retry wait continue and then holds the retry", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const consumer = yield* KafkaConsumer.make({
        ...options,
        retry: RetryPolicy.fixed({ retries: 2, delay: "10 seconds" }),
        handler: calls.handler(({ attempt }) => (attempt < 3 ? Effect.fail("not yet") : Effect.void))
      })
      yield* broker.produce(topic, [{ value: "a" }])
      yield* TestClock.adjust("5 seconds")
      yield* consumer.pause()
      yield* TestClock.adjust("3 seconds")
      yield* consumer.resume()
      yield* TestClock.adjust("7 seconds")
      yield* consumer.pause()
      yield* TestClock.adjust("15 seconds")
      yield* consumer.resume()
      yield* quiet
      assert.deepStrictEqual(calls.attempts(), [
        ["a", 1, 0],
        ["a", 2, 10_000],
        ["a", 3, 30_000]
      ])
    }).pipe(onBroker(two))
  )

  it.effect("outlasts rebalances, for partitions that are retained or assigned again", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const others = makeCalls()
      const consumer = yield* KafkaConsumer.make({ ...options, handler: calls.handler(() => Effect.void) })
      yield* consumer.pause([first, second])
      const joining = yield* Effect.fork(KafkaConsumer.make({ ...options, handler: others.handler(() => Effect.void) }))
      yield* TestClock.adjust("10 seconds")
      const other = yield* Fiber.join(joining)
      yield* broker.produce(topic, [
        { value: "a", partition: 0 },
        { value: "b", partition: 1 }
      ])
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* consumer.assignment).length, 1)
      assert.strictEqual(yield* consumer.status, "Paused")
      assert.strictEqual(others.all.length, 1)
      yield* other.close
      yield* broker.produce(topic, [
        { value: "c", partition: 0 },
        { value: "d", partition: 1 }
      ])
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* consumer.paused, [first, second])
      assert.deepStrictEqual(calls.all, [])
      yield* consumer.resume([first])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(new Set(calls.all.map(({ partition }) => partition)), new Set([0]))
      yield* consumer.resume()
      yield* TestClock.adjust("1 second")
      assert.strictEqual(calls.all.length + others.all.length, 4)
    }).pipe(onBroker(two))
  )

  it.effect("of all partitions also holds newly assigned ones", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      yield* broker.deleteTopic(topic)
      const consumer = yield* KafkaConsumer.make({ ...options, handler: calls.handler(() => Effect.void) })
      yield* consumer.pause()
      assert.strictEqual(yield* consumer.status, "Paused")
      yield* broker.createTopic(topic, 1)
      yield* broker.produce(topic, [{ value: "a" }])
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* consumer.paused, [first])
      assert.deepStrictEqual(calls.all, [])
      yield* consumer.resume()
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(calls.values(), ["a"])
    }).pipe(onBroker(two))
  )

  it.effect("holds up neither a rebalance nor a drain, even with a held retry", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const failing = {
        ...options,
        retry: RetryPolicy.fixed({ retries: 1, delay: "1 second" }),
        handler: calls.handler(() => Effect.fail("not yet"))
      }
      const consumer = yield* KafkaConsumer.make(failing)
      yield* broker.produce(topic, [{ value: "a" }, { value: "b" }])
      yield* quiet
      yield* consumer.pause()
      yield* TestClock.adjust("5 seconds")
      const joining = yield* Effect.fork(KafkaConsumer.make({ ...options, handler: () => Effect.never }))
      yield* TestClock.adjust("4 seconds")
      yield* Fiber.join(joining)
      assert.strictEqual((yield* consumer.assignment).length, 1)
      const before = yield* TestClock.currentTimeMillis
      const report = yield* consumer.close
      assert.strictEqual(yield* TestClock.currentTimeMillis, before)
      assert.strictEqual(report.handled + report.discarded, 0)
      assert.deepStrictEqual(yield* committed, { 0: 0, 1: 0 })
    }).pipe(onBroker(two))
  )

  it.effect("names a partition that can't be paused", () =>
    Effect.gen(function* () {
      const consumer = yield* KafkaConsumer.make({ ...options, handler: () => Effect.void })
      const refused = (partitions: Parameters<typeof consumer.resume>[0]) =>
        Effect.map(Effect.flip(consumer.pause(partitions)), ({ field, reason, value }) => [reason, field, value])
      assert.deepStrictEqual(yield* refused([first, { topic: "other", partition: 0 }]), [
        ...["InvalidArgument", "partitions[1].topic", "other"]
      ])
      assert.deepStrictEqual(yield* refused([{ topic, partition: -1 }]), [
        ...["InvalidArgument", "partitions[0].partition", -1]
      ])
      assert.deepStrictEqual(yield* consumer.paused, [])
      const error = yield* Effect.flip(consumer.resume([{ topic, partition: 0.5 }]))
      assert.strictEqual(
        error.message,
        "InvalidArgument: group billing: partitions[0].partition 0.5: must be a whole number from 0"
      )
    }).pipe(onBroker(two))
  )
})
