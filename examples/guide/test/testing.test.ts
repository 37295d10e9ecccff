// #region testing
import { assert, describe, it } from "@effect/vitest"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import * as MemoryBroker from "@spillway/memory/MemoryBroker"
import * as Codec from "@spillway/transport/Codec"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import { Producer } from "@spillway/transport/Producer"
import * as RetryPolicy from "@spillway/transport/RetryPolicy"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"

const Cluster = Layer.provideMerge(
  KafkaProducer.layer(),
  MemoryBroker.layer({ topics: { orders: 1, "orders-dlq": 1 } })
)

describe("billing", () => {
  it.scoped("retries while the bank doesn't answer", () =>
    Effect.gen(function* () {
      const consumer = yield* KafkaConsumer.make({
        groupId: "billing",
        topics: ["orders"],
        value: Codec.text,
        handler: ({ attempt }) => (attempt < 3 ? Effect.fail("no answer") : Effect.void),
        retry: RetryPolicy.exponential({ retries: 3 }),
        deadLetter: DeadLetter.topic("orders-dlq")
      })
      const producer = yield* Producer
      yield* producer.send({ topic: "orders", value: "a" })
      yield* TestClock.adjust("10 seconds")

      const report = yield* consumer.close
      assert.deepInclude(report, { handled: 1, retried: 2, deadLettered: 0 })
      assert.deepStrictEqual(report.committed, [{ topic: "orders", partition: 0, offset: 1 }])
    }).pipe(Effect.provide(Cluster))
  )
})
// #endregion
