import { assert, describe, it } from "@effect/vitest"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import { TransactionalProducer } from "@spillway/kafka/Transaction"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { problemsOf, read, withVariables } from "../../../transport/test/support/environment.js"
import { onBroker } from "../support/consumerTesting.js"

describe("KafkaProducer.config", () => {
  it.effect("lets variables override the program's options", () =>
    Effect.gen(function* () {
      const config = KafkaProducer.config({ compression: "none", maxBatchBytes: 2_048 }, "EVENTS")
      assert.deepStrictEqual(
        yield* read(config, {
          EVENTS_KAFKA_PRODUCER_COMPRESSION: "gzip",
          EVENTS_KAFKA_PRODUCER_DELIVERY_TIMEOUT: "1 minute"
        }),
        { compression: "gzip", maxBatchBytes: 2_048, deliveryTimeout: Duration.minutes(1) }
      )
    })
  )

  it.effect("reports every invalid variable at once", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        read(KafkaProducer.config(), {
          KAFKA_PRODUCER_COMPRESSION: "rar",
          KAFKA_PRODUCER_MAX_BATCH_BYTES: "1",
          KAFKA_PRODUCER_DELIVERY_TIMEOUT: "0 seconds",
          KAFKA_PRODUCER_DRAIN_TIMEOUT: "never"
        })
      )
      assert.deepStrictEqual(
        problemsOf(error).map((text) => text.split(" ")[0]),
        ["COMPRESSION", "DRAIN_TIMEOUT", "MAX_BATCH_BYTES", "DELIVERY_TIMEOUT"].map((name) => `KAFKA_PRODUCER_${name}:`)
      )
      assert.include(problemsOf(error)[2], 'maxBatchBytes must be a whole number of at least 1024, not "1"')
    })
  )
})

describe("KafkaProducer.configTransactional", () => {
  it.effect("lets variables override the program's options", () =>
    Effect.gen(function* () {
      const config = KafkaProducer.configTransactional({ transactionalId: "billing-0", compression: "gzip" }, "EVENTS")
      assert.deepStrictEqual(
        yield* read(config, {
          EVENTS_KAFKA_PRODUCER_TRANSACTIONAL_ID: "billing-1",
          EVENTS_KAFKA_PRODUCER_TRANSACTION_TIMEOUT: "10 seconds",
          EVENTS_KAFKA_PRODUCER_DRAIN_TIMEOUT: "1 second"
        }),
        {
          transactionalId: "billing-1",
          compression: "gzip",
          transactionTimeout: Duration.seconds(10),
          drainTimeout: Duration.seconds(1)
        }
      )
    })
  )

  it.effect("reports every invalid variable at once", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        read(KafkaProducer.configTransactional(), {
          KAFKA_PRODUCER_TRANSACTION_TIMEOUT: "25 days",
          KAFKA_PRODUCER_MAX_BATCH_BYTES: "1"
        })
      )
      assert.deepStrictEqual(
        problemsOf(error).map((text) => text.split(" ")[0]),
        ["TRANSACTIONAL_ID", "TRANSACTION_TIMEOUT", "MAX_BATCH_BYTES"].map((name) => `KAFKA_PRODUCER_${name}:`)
      )
    })
  )

  it.effect("makes a transactional producer", () =>
    Effect.gen(function* () {
      const { transactionalId } = yield* TransactionalProducer
      assert.strictEqual(transactionalId, "billing-1")
    }).pipe(
      Effect.provide(KafkaProducer.layerConfigTransactional()),
      withVariables({ KAFKA_PRODUCER_TRANSACTIONAL_ID: "billing-1" }),
      onBroker({ topics: {} })
    )
  )
})
