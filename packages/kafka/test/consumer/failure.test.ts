import { assert, describe, it } from "@effect/vitest"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import { Wire } from "@spillway/kafka/Wire"
import { MemoryBroker } from "@spillway/memory/MemoryBroker"
import * as Consumer from "@spillway/transport/Consumer"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import { InvalidOptions } from "@spillway/transport/InvalidOptions"
import * as RetryPolicy from "@spillway/transport/RetryPolicy"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { committed, group, makeCalls, observed, onBroker, options, quiet, topic } from "../support/consumerTesting.js"
import { type Line, logged } from "../support/logged.js"

const topics = { [topic]: 2 }
const handler = () => Effect.void

describe("a consumer that can't start", () => {
  const wrong: ReadonlyArray<
    readonly [
      string,
      KafkaConsumer.KafkaConsumerOptions<string, never, never, never>,
      Consumer.ConsumerErrorReason | undefined,
      string
    ]
  > = [
    ["invalid settings", { ...options, handler, commitInterval: 0, maxLaneRecords: -1 }, undefined, "commitInterval"],
    [
      "a session the broker refuses",
      { ...options, handler, sessionTimeout: "4 seconds" },
      "Refused",
      "sessionTimeout 4000 ms"
    ]
  ]

  it.effect.each(wrong)("for %s fails make, run and launch", ([, options, reason, text]) =>
    Effect.gen(function* () {
      const ways: ReadonlyArray<Effect.Effect<unknown, unknown, Wire | Scope.Scope>> = [
        KafkaConsumer.make(options),
        KafkaConsumer.run(options),
        Consumer.launch(KafkaConsumer.layer(options))
      ]
      for (const way of ways) {
        const error = yield* Effect.flip(Effect.scoped(way))
        assert(error instanceof Consumer.ConsumerError || error instanceof InvalidOptions)
        assert.strictEqual("reason" in error ? error.reason : undefined, reason)
        assert.include(error.message, text)
      }
    }).pipe(onBroker({ topics }))
  )

  it.effect("for a dead letter topic that doesn't exist fails make, run and launch without joining", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const dead = { ...options, handler, deadLetter: DeadLetter.topic("nowhere") }
      const producer = KafkaProducer.layer()
      const ways: ReadonlyArray<Effect.Effect<unknown, unknown, Wire | Scope.Scope>> = [
        Effect.provide(KafkaConsumer.make(dead), producer),
        Effect.provide(KafkaConsumer.run(dead), producer),
        Consumer.launch(Layer.provide(KafkaConsumer.layer(dead), producer))
      ]
      for (const way of ways) {
        const failing = yield* Effect.fork(Effect.flip(Effect.scoped(way)))
        yield* TestClock.adjust("2 minutes")
        const error = yield* Fiber.join(failing)
        assert.instanceOf(error, Consumer.ConsumerError)
        assert.strictEqual(error.reason, "DeadLetterTopic")
        assert.include(error.message, "nowhere")
      }
      assert.strictEqual((yield* broker.group(group)).state, "Dead")
    }).pipe(onBroker({ topics }))
  )
})

const stopping = {
  ...options,
  retry: RetryPolicy.fixed({ retries: 1, delay: "1 second" }),
  deadLetter: DeadLetter.none("stop")
}

describe("a consumer that can't continue", () => {
  it.effect("fails without committing the record, and finishes the other records in flight", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const consumer = yield* KafkaConsumer.make({
        ...stopping,
        handler: calls.handler(({ value }) =>
          value === "bad" ? Effect.fail(new Error("declined")) : Effect.sleep(value === "slow" ? "10 seconds" : 0)
        )
      })
      const statuses = yield* Effect.fork(Stream.runCollect(consumer.changes))
      yield* broker.produce(topic, [
        { value: "a" },
        { value: "bad" },
        { value: "c" },
        { value: "slow", partition: 1 },
        { value: "d", partition: 1 }
      ])
      yield* TestClock.adjust("10 seconds")
      const error = yield* Effect.flip(consumer.wait)
      assert.strictEqual(error.reason, "HandlingFailed")
      assert.include(error.message, "orders-0 at offset 1: declined")
      assert.deepStrictEqual(yield* committed, { 0: 1, 1: 1 })
      assert.sameMembers([...calls.values()], ["a", "bad", "bad", "slow"])
      assert.deepStrictEqual(Chunk.toReadonlyArray(yield* Fiber.join(statuses)), ["Running", "Draining", "Failed"])
      assert.strictEqual((yield* broker.group(group)).members.length, 0)
      // The answer stays the same.
      assert.strictEqual(yield* Effect.flip(consumer.close), error)
    }).pipe(onBroker({ topics }))
  )

  it.effect("ends run with its error", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const running = yield* Effect.fork(
        Effect.flip(KafkaConsumer.run({ ...stopping, handler: () => Effect.fail("declined") }))
      )
      yield* quiet
      yield* broker.produce(topic, [{ value: "bad" }])
      yield* TestClock.adjust("2 seconds")
      const failure = yield* Fiber.join(running)
      assert(failure._tag === "ConsumerError")
      assert.strictEqual(failure.reason, "HandlingFailed")
    }).pipe(onBroker({ topics }))
  )

  it.effect("ends the program it was launched in, and drains its other consumers", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const failing = KafkaConsumer.layer({ ...stopping, handler: () => Effect.fail("declined") })
      const other = KafkaConsumer.layer({
        ...options,
        groupId: "other",
        topics: ["payments"],
        handler: calls.handler(() => Effect.sleep("5 seconds"))
      })
      const program = yield* Effect.fork(Effect.flip(Consumer.launch(Layer.merge(failing, other))))
      yield* quiet
      yield* broker.produce("payments", [{ value: "a" }, { value: "b" }])
      yield* broker.produce(topic, [{ value: "bad" }])
      yield* TestClock.adjust("10 seconds")
      const error = yield* Fiber.join(program)
      assert.instanceOf(error, Consumer.ConsumerError)
      assert.strictEqual(error.reason, "HandlingFailed")
      assert.deepStrictEqual(calls.values(), ["a"])
      assert.deepStrictEqual(yield* broker.committed("other"), [{ topic: "payments", partition: 0, offset: 1 }])
      assert.deepStrictEqual(yield* committed, { 0: 0, 1: 0 })
    }).pipe(onBroker({ topics: { ...topics, payments: 1 } }))
  )
})

describe("a consumer that fails in a program that continues", () => {
  const failing = KafkaConsumer.layer({ ...stopping, handler: () => Effect.fail("declined") })
  const unhandled = (lines: ReadonlyArray<Line>) =>
    lines.filter(({ message }) => message.startsWith("The program continues without its consumer"))

  it.effect("logs an error every minute under Layer.launch, until the program ends", () =>
    logged((lines) =>
      Effect.gen(function* () {
        const broker = yield* MemoryBroker
        const program = yield* Effect.fork(Layer.launch(Layer.merge(failing, Layer.empty)))
        yield* quiet
        yield* broker.produce(topic, [{ value: "bad" }])
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual(unhandled(lines).length, 1)
        yield* TestClock.adjust("3 minutes")
        assert.deepStrictEqual(
          unhandled(lines).map(({ annotations }) => annotations),
          [0, 60, 120, 180].map((seconds) => ({
            groupId: group,
            reason: "HandlingFailed",
            error: "orders-0 at offset 0: declined",
            seconds
          }))
        )
        assert.isTrue(unhandled(lines).every(({ level }) => level === "Error"))
        yield* Fiber.interrupt(program)
        yield* TestClock.adjust("3 minutes")
        assert.strictEqual(unhandled(lines).length, 4)
      })
    ).pipe(onBroker({ topics }))
  )

  it.effect("logs no such line once the program has its error", () =>
    logged((lines) =>
      Effect.gen(function* () {
        const broker = yield* MemoryBroker
        yield* broker.produce(topic, [{ value: "bad" }])
        const launched = yield* Effect.fork(Effect.flip(Consumer.launch(failing)))
        yield* TestClock.adjust("1 minute")
        yield* Fiber.join(launched)

        const watched = yield* KafkaConsumer.make({
          ...stopping,
          groupId: "watched",
          handler: () => Effect.fail("declined")
        })
        const waiting = yield* Effect.fork(Effect.flip(watched.wait))
        yield* TestClock.adjust("2 minutes")
        yield* Fiber.join(waiting)
        assert.deepStrictEqual(unhandled(lines), [])

        const asked = yield* KafkaConsumer.make({
          ...stopping,
          groupId: "asked",
          handler: () => Effect.fail("declined")
        })
        yield* TestClock.adjust("90 seconds")
        assert.strictEqual(unhandled(lines).length, 2)
        yield* Effect.flip(asked.close)
        yield* TestClock.adjust("2 minutes")
        assert.strictEqual(unhandled(lines).length, 2)
      })
    ).pipe(onBroker({ topics }))
  )
})

describe("a consumer that fails while it opens its partitions", () => {
  it.effect("fails with that error", () =>
    Effect.gen(function* () {
      const { wire } = yield* MemoryBroker
      let commits = 0
      const breaking = observed(wire, (api) =>
        api === "OffsetCommit" && commits++ === 0 ? Effect.dieMessage("broken") : Effect.void
      )
      const starting = yield* Effect.fork(
        Effect.flip(Effect.provideService(KafkaConsumer.make({ ...options, handler }), Wire, breaking))
      )
      yield* TestClock.adjust("30 seconds")
      const error = yield* Fiber.join(starting)
      assert.propertyVal(error, "reason", "HandlingFailed")
      assert.include(error.message, "broken")
    }).pipe(onBroker({ topics }))
  )
})
