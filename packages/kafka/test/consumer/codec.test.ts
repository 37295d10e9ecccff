import { assert, describe, it } from "@effect/vitest"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import { MemoryBroker } from "@spillway/memory/MemoryBroker"
import * as Codec from "@spillway/transport/Codec"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import * as RetryPolicy from "@spillway/transport/RetryPolicy"
import * as Topic from "@spillway/transport/Topic"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import { committed, onBroker, options, topic } from "../support/consumerTesting.js"

const letters = `${topic}-dlq`

const topics = { [topic]: 1, [letters]: 1 }

/** Text that can be decoded only while the codec's registry can be reached. */
const registry = () => {
  const state = { isDown: true, contexts: new Set<string>() }
  const codec: Codec.Decoder<string> = {
    decode: (bytes, context) => {
      state.contexts.add(`${context.topic} ${context.part}`)
      return state.isDown
        ? Effect.fail(new Codec.DecodeError({ reason: "Unavailable", description: "the registry can't be reached" }))
        : Codec.text.decode(bytes, context)
    }
  }
  return { state, codec }
}

describe("a consumer's codecs", () => {
  it.effect("retry a record whose codec is unavailable, let the breaker count it, and never dead-letter it", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const { codec, state } = registry()
      const handled: Array<string> = []
      const consumer = yield* KafkaConsumer.make({
        ...options,
        value: codec,
        handler: ({ value }) => Effect.sync(() => handled.push(value)),
        retry: RetryPolicy.fixed({ retries: 1, delay: "1 second" }),
        deadLetter: DeadLetter.topic(),
        circuitBreaker: { window: { count: 2 }, minimumThroughput: 2, openTime: "1 minute", factor: 1 }
      })
      yield* broker.produce(topic, [{ value: "a" }, { value: "b" }])
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* consumer.breaker!.state, "open")
      yield* TestClock.adjust("4 minutes")
      assert.deepStrictEqual(handled, [])
      assert.deepStrictEqual(yield* broker.records(letters), [])
      assert.deepStrictEqual(yield* committed, { 0: 0 })
      state.isDown = false
      yield* TestClock.adjust("2 minutes")
      assert.deepStrictEqual(handled, ["a", "b"])
      assert.deepStrictEqual(yield* committed, { 0: 2 })
      assert.deepStrictEqual(Array.from(state.contexts), [`${topic} value`])
      assert.deepStrictEqual(yield* broker.records(letters), [])
    }).pipe(Effect.provide(KafkaProducer.layer()), onBroker({ topics }))
  )

  it.effect("retry it without a breaker too, long after the policy's last retry", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const { codec, state } = registry()
      const attempts: Array<number> = []
      yield* KafkaConsumer.make({
        ...options,
        value: codec,
        handler: ({ attempt }) => Effect.sync(() => attempts.push(attempt)),
        retry: RetryPolicy.none
      })
      yield* broker.produce(topic, [{ value: "a" }])
      yield* TestClock.adjust("2 minutes")
      state.isDown = false
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(attempts.length, 1)
      assert.isAbove(attempts[0]!, 5)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* committed, { 0: 1 })
    }).pipe(onBroker({ topics }))
  )

  it.effect("decode keys, and dead-letter a record whose key can't be decoded at once", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const orders = Topic.make(topic, { key: Codec.text, value: Codec.text })
      const handled: Array<readonly [string, string]> = []
      yield* KafkaConsumer.make({
        ...options,
        topics: [orders.name],
        key: orders.key,
        value: orders.value,
        handler: ({ key, value }) => Effect.sync(() => handled.push([key.toUpperCase(), value])),
        deadLetter: DeadLetter.topic()
      })
      yield* Topic.send(orders, { key: "one", value: "a" })
      yield* broker.produce(topic, [
        { key: Uint8Array.of(0xff), value: "b" },
        { key: "three", value: "c" }
      ])
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(handled, [
        ["ONE", "a"],
        ["THREE", "c"]
      ])
      const [letter] = yield* broker.records(letters)
      assert.deepStrictEqual(letter!.key, Uint8Array.of(0xff))
    }).pipe(Effect.provide(KafkaProducer.layer()), onBroker({ topics }))
  )
})
