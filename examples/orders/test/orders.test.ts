import { assert, describe, it } from "@effect/vitest"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import * as MemoryBroker from "@spillway/memory/MemoryBroker"
import * as Codec from "@spillway/transport/Codec"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import type { Envelope } from "@spillway/transport/Envelope"
import { Producer } from "@spillway/transport/Producer"
import * as RetryPolicy from "@spillway/transport/RetryPolicy"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as TestClock from "effect/TestClock"
import { type Card, deadLetterTopic, ordersTopic } from "../src/Order.js"
import * as OrdersConsumer from "../src/OrdersConsumer.js"
import * as Payments from "../src/Payments.js"

const Cluster = Layer.provideMerge(
  KafkaProducer.layer(),
  MemoryBroker.layer({ topics: { [ordersTopic]: 1, [deadLetterTopic]: 1 } })
)

/** The example's bank, and the seconds at which it was asked to charge an order. */
const makeBank = Effect.gen(function* () {
  const bank = yield* Effect.provide(Payments.Payments, Payments.layer)
  const charges: Array<{ readonly order: string; readonly seconds: number }> = []
  const layer = Layer.succeed(Payments.Payments, {
    charge: (order, attempt) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        charges.push({ order: order.id, seconds: now / 1000 })
        return bank.charge(order, attempt)
      })
  })
  return { layer, attempts: (id: string) => charges.filter(({ order }) => order === id).map(({ seconds }) => seconds) }
})

/** The example's consumer, with retries without jitter so that their times are known. */
const startConsumer = KafkaConsumer.make({
  ...OrdersConsumer.options,
  retry: RetryPolicy.exponential({ jitter: false })
})

const text = (bytes: Uint8Array | null) => new TextDecoder().decode(bytes ?? new Uint8Array())

const publish = (id: string, value: string) =>
  Effect.flatMap(Producer, (producer) => producer.send({ topic: ordersTopic, key: id, value }))

const place = (id: string, card: Card) => publish(id, JSON.stringify({ id, card, amount: 10 }))

/** The dead letters in order of arrival, read by a consumer of the test's own. */
const readDeadLetters = Effect.gen(function* () {
  const letters = yield* Queue.unbounded<Envelope<Uint8Array | null>>()
  yield* KafkaConsumer.make({
    groupId: "test",
    topics: [deadLetterTopic],
    value: Codec.bytes,
    handler: (letter) => Queue.offer(letters, letter),
    deadLetter: DeadLetter.none("stop")
  })
  return Queue.take(letters)
})

const committed = (offset: number) => [{ topic: ordersTopic, partition: 0, offset }]

describe("orders", () => {
  it.scoped("charges an order once and commits it", () =>
    Effect.gen(function* () {
      const bank = yield* makeBank
      const consumer = yield* Effect.provide(startConsumer, bank.layer)
      yield* place("a", "valid")
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(bank.attempts("a").length, 1)
      const report = yield* consumer.close
      assert.deepStrictEqual(report, { handled: 1, retried: 0, deadLettered: 0, discarded: 0, committed: committed(1) })
    }).pipe(Effect.provide(Cluster))
  )

  it.scoped("retries by the policy while the bank doesn't answer", () =>
    Effect.gen(function* () {
      const bank = yield* makeBank
      const consumer = yield* Effect.provide(startConsumer, bank.layer)
      yield* place("a", "flaky")
      yield* place("b", "valid")
      yield* TestClock.adjust("10 seconds")
      const [first, ...retries] = bank.attempts("a")
      assert.deepStrictEqual(retries, [first! + 1, first! + 3])
      assert.deepStrictEqual(bank.attempts("b"), [first! + 3], "the partition's next order waits for its turn")
      const report = yield* consumer.close
      assert.deepStrictEqual(report, { handled: 2, retried: 2, deadLettered: 0, discarded: 0, committed: committed(2) })
    }).pipe(Effect.provide(Cluster))
  )

  it.scoped("retries after the delay that the bank asks for", () =>
    Effect.gen(function* () {
      const bank = yield* makeBank
      const consumer = yield* Effect.provide(startConsumer, bank.layer)
      yield* place("a", "limited")
      yield* TestClock.adjust("10 seconds")
      const [first, ...retries] = bank.attempts("a")
      assert.deepStrictEqual(retries, [first! + 3])
      assert.deepInclude(yield* consumer.close, { handled: 1, retried: 1, committed: committed(1) })
    }).pipe(Effect.provide(Cluster))
  )

  it.scoped("dead-letters an order with a stolen card at once", () =>
    Effect.gen(function* () {
      const bank = yield* makeBank
      const nextLetter = yield* readDeadLetters
      const consumer = yield* Effect.provide(startConsumer, bank.layer)
      yield* place("a", "stolen")
      yield* TestClock.adjust("5 seconds")
      const letter = yield* nextLetter
      assert.strictEqual(bank.attempts("a").length, 1)
      assert.strictEqual(text(letter.key), "a")
      assert.deepStrictEqual(JSON.parse(text(letter.value)), { id: "a", card: "stolen", amount: 10 })
      assert.deepInclude(Option.getOrThrow(DeadLetter.metadata(letter)), {
        retryCount: 0,
        errorMessage: "the card of order a is stolen",
        topic: ordersTopic,
        partition: 0,
        offset: 0,
        groupId: OrdersConsumer.options.groupId
      })
      assert.deepInclude(yield* consumer.close, { handled: 0, retried: 0, deadLettered: 1, committed: committed(1) })
    }).pipe(Effect.provide(Cluster))
  )

  it.scoped("dead-letters a record that is not an order, byte for byte, and continues", () =>
    Effect.gen(function* () {
      const bank = yield* makeBank
      const nextLetter = yield* readDeadLetters
      const consumer = yield* Effect.provide(startConsumer, bank.layer)
      yield* publish("x", "not an order")
      yield* place("a", "valid")
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(text((yield* nextLetter).value), "not an order")
      assert.strictEqual(bank.attempts("a").length, 1)
      assert.deepInclude(yield* consumer.close, { handled: 1, deadLettered: 1, committed: committed(2) })
    }).pipe(Effect.provide(Cluster))
  )

  it.scoped("stops at once while waiting for a retry, and leaves the order to the next consumer", () =>
    Effect.gen(function* () {
      const bank = yield* makeBank
      const first = yield* Effect.provide(startConsumer, bank.layer)
      yield* place("a", "valid")
      yield* place("b", "limited")
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(bank.attempts("b").length, 1)
      const before = yield* Clock.currentTimeMillis
      assert.deepInclude(yield* first.close, { handled: 1, deadLettered: 0, committed: committed(1) })
      assert.strictEqual(yield* Clock.currentTimeMillis, before)
      const second = yield* Effect.provide(startConsumer, bank.layer)
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(bank.attempts("a").length, 1)
      assert.strictEqual(bank.attempts("b").length, 3)
      assert.deepInclude(yield* second.close, { handled: 1, retried: 1, committed: committed(2) })
    }).pipe(Effect.provide(Cluster))
  )
})
