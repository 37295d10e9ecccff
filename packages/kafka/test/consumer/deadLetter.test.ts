import { assert, describe, it } from "@effect/vitest"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import { Wire } from "@spillway/kafka/Wire"
import { MemoryBroker } from "@spillway/memory/MemoryBroker"
import * as Codec from "@spillway/transport/Codec"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import * as HandlerError from "@spillway/transport/HandlerError"
import * as Headers from "@spillway/transport/Headers"
import { Producer } from "@spillway/transport/Producer"
import * as RetryPolicy from "@spillway/transport/RetryPolicy"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { committed, makeCalls, onBroker, options, quiet, topic } from "../support/consumerTesting.js"

const dlq = "orders-dlq"
const topics = { [topic]: 2, [dlq]: 1 }
const retry = RetryPolicy.fixed({ retries: 2, delay: "1 second" })
const deadLetter = DeadLetter.topic()

/** A producer with its own client, which can be cut off from the broker. */
const producerClient = Effect.gen(function* () {
  const broker = yield* MemoryBroker
  const client = yield* broker.client("producer")
  const producer = yield* KafkaProducer.make().pipe(Effect.provideService(Wire, client.wire))
  return { client, producer }
})

const bytes = (...values: ReadonlyArray<number>): Uint8Array => Uint8Array.from(values)

const original: { readonly key: Uint8Array; readonly value: Uint8Array; readonly headers: Headers.Headers } = {
  key: bytes(0, 255, 1),
  value: bytes(0x7b, 0xff),
  headers: [
    ["b", bytes(1, 2)],
    ["a", null],
    ["b", bytes()]
  ]
}

describe("dead letters", () => {
  it.effect("keep key, value and headers to the byte, and carry error, retry count and time", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const { producer } = yield* producerClient
      const consumer = yield* KafkaConsumer.make({
        ...options,
        value: Codec.bytes,
        retry,
        deadLetter,
        handler: () => Effect.fail(new Error("card declined"))
      }).pipe(Effect.provideService(Producer, producer))
      yield* broker.produce(topic, [{ ...original, partition: 1 }])
      yield* TestClock.adjust("10 seconds")
      const [letter, ...others] = yield* broker.records(dlq)
      assert.deepStrictEqual(others, [])
      assert.deepStrictEqual(new Uint8Array(letter!.key!), original.key)
      assert.deepStrictEqual(new Uint8Array(letter!.value!), original.value)
      assert.deepStrictEqual(
        letter!.headers.slice(0, 3).map(([name, value]): Headers.Header => [name, value && new Uint8Array(value)]),
        original.headers
      )
      const header = (name: string) => Option.getOrNull(Headers.getText(letter!.headers, name))
      assert.strictEqual(header("x-retry-count"), "2")
      assert.strictEqual(header("x-error-message"), "card declined")
      assert.strictEqual(header("x-failed-timestamp"), new Date(2_000).toISOString())
      assert.strictEqual(header("x-event-id"), "orders-1-0")
      const { deadLettered, handled, retried } = yield* consumer.report
      assert.deepStrictEqual({ deadLettered, handled, retried }, { deadLettered: 1, handled: 0, retried: 2 })
      assert.deepStrictEqual(yield* committed, { 0: 0, 1: 1 })
    }).pipe(onBroker({ topics }))
  )

  it.effect("are written at once for non-retryable and undecodable records", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const { producer } = yield* producerClient
      const calls = makeCalls()
      yield* KafkaConsumer.make({
        ...options,
        value: Codec.json(Schema.String),
        retry,
        deadLetter,
        handler: calls.handler(({ value }) =>
          value === "never" ? HandlerError.nonRetryable(new Error("never")) : Effect.void
        )
      }).pipe(Effect.provideService(Producer, producer))
      yield* broker.produce(topic, [{ value: '"never"' }, { value: "{" }, { value: null }, { value: '"fine"' }])
      const letters = yield* broker.awaitRecords(dlq, 3)
      yield* quiet
      assert.strictEqual(yield* TestClock.currentTimeMillis, 0)
      assert.deepStrictEqual(
        letters.map(({ headers, value }) => [
          value && new TextDecoder().decode(value),
          Option.getOrNull(Headers.getText(headers, "x-retry-count")),
          Option.getOrNull(Headers.getText(headers, "x-error-type"))
        ]),
        [
          ['"never"', "0", "Error"],
          ["{", "0", "DecodeError"],
          [null, "0", "DecodeError"]
        ]
      )
      assert.deepStrictEqual(calls.values(), ["never", "fine"])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* committed, { 0: 4, 1: 0 })
    }).pipe(onBroker({ topics }))
  )

  it.effect("delay their record's commit until they are acknowledged, and no other partition", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const { client, producer } = yield* producerClient
      const calls = makeCalls()
      const consumer = yield* KafkaConsumer.make({
        ...options,
        retry,
        deadLetter,
        handler: calls.handler(({ value }) => (value === "bad" ? HandlerError.nonRetryable("bad") : Effect.void))
      }).pipe(Effect.provideService(Producer, producer))
      yield* client.cut
      yield* broker.produce(topic, [{ value: "bad" }, { value: "behind" }, { value: "beside", partition: 1 }])
      yield* TestClock.adjust("10 seconds")
      assert.sameMembers([...calls.values()], ["bad", "beside"])
      assert.deepStrictEqual(yield* broker.records(dlq), [])
      assert.deepStrictEqual(yield* committed, { 0: 0, 1: 1 })
      yield* client.restore
      yield* TestClock.adjust("1 minute")
      assert.isAtLeast((yield* broker.records(dlq)).length, 1)
      assert.strictEqual((yield* consumer.report).deadLettered, 1)
      assert.deepStrictEqual(calls.values().at(-1), "behind")
      assert.deepStrictEqual(yield* committed, { 0: 2, 1: 1 })
    }).pipe(onBroker({ topics }))
  )

  it.effect("that can't be published before a stop leave their record to the next consumer", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const { client, producer } = yield* producerClient
      const bad = { ...options, retry, deadLetter, handler: () => HandlerError.nonRetryable("bad") }
      const consumer = yield* KafkaConsumer.make(bad).pipe(Effect.provideService(Producer, producer))
      yield* client.cut
      yield* broker.produce(topic, [{ value: "bad" }])
      yield* TestClock.adjust("10 seconds")
      const closing = yield* Effect.fork(consumer.close)
      yield* TestClock.adjust("35 seconds")
      const report = yield* Fiber.join(closing)
      assert.strictEqual(report.deadLettered, 0)
      assert.deepStrictEqual(yield* committed, { 0: 0, 1: 0 })
      yield* client.restore
      yield* KafkaConsumer.make(bad).pipe(Effect.provideService(Producer, producer))
      yield* TestClock.adjust("10 seconds")
      assert.isAtLeast((yield* broker.records(dlq)).length, 1)
      assert.deepStrictEqual(yield* committed, { 0: 1, 1: 0 })
    }).pipe(onBroker({ topics }))
  )

  it.effect("are skipped, counted and committed if the policy is to skip", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const consumer = yield* KafkaConsumer.make({
        ...options,
        deadLetter: DeadLetter.none("skip"),
        handler: () => HandlerError.nonRetryable("bad")
      })
      yield* broker.produce(topic, [{ value: "a" }, { value: "b" }])
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* consumer.report).discarded, 2)
      assert.deepStrictEqual(yield* committed, { 0: 2, 1: 0 })
    }).pipe(onBroker({ topics }))
  )
})
