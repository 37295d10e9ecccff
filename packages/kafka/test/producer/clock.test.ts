import { assert, describe, it } from "@effect/vitest"
import { KafkaErrorCode } from "@spillway/kafka/KafkaErrorCode"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import { Wire } from "@spillway/kafka/Wire"
import * as MemoryBroker from "@spillway/memory/MemoryBroker"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { unevenly } from "../../../transport/test/support/unevenClock.js"
import { type Decide, intercept, refusing } from "../support/producerFaults.js"

const hour = 3_600_000

const to = (value: string, topic = "orders") => ({ topic, partition: 0, value })

const setup = (options: KafkaProducer.KafkaProducerOptions, decide: Decide = (request, forward) => forward(request)) =>
  Effect.gen(function* () {
    const broker = yield* MemoryBroker.make({ topics: { orders: 1 } })
    const producer = yield* KafkaProducer.make(options).pipe(
      Effect.provideService(Wire, intercept(broker.wire, decide))
    )
    return { broker, producer }
  })

/** Advances the clock; the wall clock steps halfway. */
const passing = (millis: number, step: (millis: number) => void, by: number) =>
  TestClock.adjust(millis / 2).pipe(
    Effect.zipRight(Effect.sync(() => step(by))),
    Effect.zipRight(TestClock.adjust(millis / 2))
  )

describe("a producer whose timers fire early and whose wall clock steps", () => {
  it.scoped("sends a batch that has lingered", () =>
    unevenly((step) =>
      Effect.gen(function* () {
        const { broker, producer } = yield* setup({ linger: "20 millis" })
        for (const [index, by] of [-hour, 2 * hour, -5].entries()) {
          const sent = yield* Effect.fork(producer.send(to("a")))
          yield* passing(18, step, by)
          assert.strictEqual((yield* broker.records("orders")).length, index)
          yield* TestClock.adjust("2 millis")
          yield* Fiber.join(sent)
          assert.strictEqual((yield* broker.records("orders")).length, index + 1)
        }
      })
    )
  )

  it.scoped("fails a record that isn't acknowledged within the delivery timeout, and none before", () =>
    unevenly((step) =>
      Effect.gen(function* () {
        const { producer } = yield* setup(
          { linger: 0, deliveryTimeout: "10 seconds" },
          refusing(() => KafkaErrorCode.NOT_ENOUGH_REPLICAS)
        )
        for (const by of [-hour, 2 * hour, -5]) {
          const failed = yield* Effect.fork(Effect.flip(producer.send(to("a"))))
          yield* passing(9_990, step, by)
          assert.isNull(failed.unsafePoll())
          yield* TestClock.adjust("10 millis")
          assert.strictEqual((yield* Fiber.join(failed)).reason, "DeliveryTimeout")
        }
      })
    )
  )

  it.scoped("fails a record that finds no room in the buffer, and one whose topic stays unknown", () =>
    unevenly((step) =>
      Effect.gen(function* () {
        const { producer } = yield* setup(
          { linger: 0, maxBatchBytes: 1_024, bufferMemory: 1_024, maxBlock: "5 seconds", drainTimeout: 0 },
          () => Effect.never
        )
        yield* Effect.fork(producer.send(to("a")))
        yield* TestClock.adjust(0)
        for (const by of [-hour, 2 * hour]) {
          const blocked = yield* Effect.fork(Effect.flip(producer.send(to("x".repeat(500)))))
          const unknown = yield* Effect.fork(Effect.flip(producer.send(to("a", "missing"))))
          yield* passing(4_990, step, by)
          assert.isNull(blocked.unsafePoll())
          yield* TestClock.adjust("2 seconds")
          assert.strictEqual((yield* Fiber.join(blocked)).reason, "BufferFull")
          assert.strictEqual((yield* Fiber.join(unknown)).reason, "UnknownTopic")
        }
      })
    )
  )

  it.scoped("refreshes topics in use at their maximum age", () =>
    unevenly((step) =>
      Effect.gen(function* () {
        const { broker, producer } = yield* setup({ linger: 0, metadataMaxAge: "1 minute" })
        yield* producer.send(to("a"))
        for (const [index, by] of [-hour, 2 * hour].entries()) {
          yield* broker.deleteTopic("orders")
          yield* broker.createTopic("orders", index + 2)
          yield* passing(50_000, step, by)
          assert.strictEqual(yield* producer.partitions("orders"), index + 1)
          yield* TestClock.adjust("11 seconds")
          yield* producer.partitions("orders")
          yield* TestClock.adjust(0)
          assert.strictEqual(yield* producer.partitions("orders"), index + 2)
        }
      })
    )
  )

  it.scoped("distinguishes a transaction timeout from fencing, and commits the next transaction", () =>
    unevenly((step) =>
      Effect.gen(function* () {
        const broker = yield* MemoryBroker.make({ topics: { orders: 1 } })
        const producer = yield* KafkaProducer.makeTransactional({
          transactionalId: "tx",
          linger: 0,
          transactionTimeout: "1 second"
        }).pipe(Effect.provideService(Wire, broker.wire))
        for (const [index, by] of [-hour, 2 * hour].entries()) {
          const timedOut = yield* Effect.flip(
            producer.transaction((transaction) =>
              Effect.zipRight(transaction.send(to("lost")), passing(1_002, step, by))
            )
          )
          assert.strictEqual(timedOut.reason, "TimedOut")
          yield* producer.transaction((transaction) =>
            Effect.zipRight(transaction.send(to("a")), passing(990, step, -by))
          )
          assert.strictEqual((yield* broker.records("orders")).length, index + 1)
        }
      })
    )
  )
})
