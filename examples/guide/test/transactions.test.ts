import { assert, describe, it } from "@effect/vitest"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import * as MemoryBroker from "@spillway/memory/MemoryBroker"
import { Producer } from "@spillway/transport/Producer"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { Bulk, ByRegion, publishEach, publishStream } from "../src/producing.js"
import { book, Invoicing, placeBoth, Transactions } from "../src/transactions.js"

const Broker = MemoryBroker.layer({
  topics: { orders: 2, invoices: 2, ledger: 1, "orders-dlq": 2 }
}).pipe(Layer.provideMerge(Logger.remove(Logger.defaultLogger)))

const count = (topic: string) =>
  Effect.flatMap(MemoryBroker.MemoryBroker, (broker) => Effect.map(broker.records(topic), ({ length }) => length))

const inTime = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.flatMap(Effect.fork(effect), (fiber) => Effect.zipRight(TestClock.adjust("10 seconds"), Fiber.join(fiber)))

describe("The guide's producers", () => {
  it.effect("report the result of each record, and publish a stream", () =>
    Effect.gen(function* () {
      const unsent = { topic: "orders", partition: 9, value: "" }
      assert.deepStrictEqual(yield* inTime(publishEach([{ topic: "orders", value: "a" }, unsent])), [unsent])
      assert.strictEqual(yield* inTime(publishStream(Stream.make({ topic: "orders", value: "b" }))), 1)
    }).pipe(Effect.provide(Layer.provideMerge(Bulk, Broker)))
  )

  it.effect("choose partitions with a partitioner", () =>
    Effect.gen(function* () {
      const producer = yield* Producer
      const [eu, other] = yield* producer.sendAll([
        { topic: "orders", value: "", headers: { eu: "1" } },
        { topic: "orders", value: "" }
      ])
      assert.deepStrictEqual([eu?.partition, other?.partition], [0, 1])
    }).pipe(Effect.provide(Layer.provideMerge(ByRegion, Broker)))
  )

  it.effect("write every record of a transaction", () =>
    Effect.gen(function* () {
      yield* book({ id: "a", amount: 10 })
      yield* placeBoth({ id: "a", amount: 10 }, { id: "b", amount: 20 })
      assert.deepStrictEqual(yield* Effect.all(["invoices", "ledger", "orders"].map(count)), [1, 1, 2])
    }).pipe(Effect.provide(Layer.provideMerge(Transactions, Broker)))
  )

  it.effect("make each order an invoice or a dead letter, once", () =>
    Effect.gen(function* () {
      const producer = yield* Producer
      yield* producer.sendAll(
        [1, -1, 2].map((amount) => ({ topic: "orders", value: JSON.stringify({ id: `${amount}`, amount }) }))
      )
      yield* Effect.scoped(Effect.zipRight(Layer.build(Invoicing), TestClock.adjust("2 seconds")))
      assert.deepStrictEqual(yield* Effect.all(["invoices", "orders-dlq"].map(count)), [2, 1])
    }).pipe(Effect.provide(Layer.provideMerge(KafkaProducer.layer(), Broker)))
  )
})
