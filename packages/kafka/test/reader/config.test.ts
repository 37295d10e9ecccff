import { assert, describe, it } from "@effect/vitest"
import * as KafkaAdmin from "@spillway/kafka/KafkaAdmin"
import * as KafkaReader from "@spillway/kafka/KafkaReader"
import * as Position from "@spillway/transport/Position"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { problemsOf, read } from "../../../transport/test/support/environment.js"

describe("KafkaReader.config", () => {
  it.effect("reads partitions and positions", () =>
    Effect.gen(function* () {
      const variables = {
        A_KAFKA_READER_PARTITIONS: "0, 2",
        A_KAFKA_READER_FROM: "42",
        A_KAFKA_READER_TO: "forever",
        A_KAFKA_READER_FETCH_MAX_WAIT: "1 second"
      }
      assert.deepStrictEqual(yield* read(KafkaReader.config({ topic: "orders" }, "A"), variables), {
        topic: "orders",
        partitions: [0, 2],
        from: Position.offset(42),
        to: "forever",
        fetchMaxWait: Duration.seconds(1)
      })
      const from = (text: string) =>
        Effect.map(read(KafkaReader.config({ topic: "orders" }), { KAFKA_READER_FROM: text }), ({ from }) => from)
      assert.deepStrictEqual(yield* from("beginning"), Position.beginning)
      assert.deepStrictEqual(yield* from("end"), Position.end)
      assert.deepStrictEqual(yield* from("2026-01-31T00:00:00Z"), Position.timestamp(Date.UTC(2026, 0, 31)))
    })
  )

  it.effect("names every variable that can't be used", () =>
    Effect.gen(function* () {
      const wrong = { KAFKA_READER_FROM: "yesterday", KAFKA_READER_TO: "never", KAFKA_READER_PARTITIONS: "0,0" }
      assert.deepStrictEqual(
        problemsOf(yield* Effect.flip(read(KafkaReader.config(), wrong))).map((problem) => problem.split(",")[0]),
        [
          "KAFKA_READER_FROM: from must be beginning",
          "KAFKA_READER_TO: to must be beginning",
          "KAFKA_READER_TOPIC: topic must be a topic's name",
          "KAFKA_READER_PARTITIONS: partitions must be distinct partition numbers"
        ]
      )
    })
  )
})

describe("KafkaAdmin.config", () => {
  it.effect("reads the timeout", () =>
    Effect.gen(function* () {
      const config = KafkaAdmin.config({}, "A")
      assert.deepStrictEqual(yield* read(config, { A_KAFKA_ADMIN_TIMEOUT: "5 seconds" }), {
        timeout: Duration.seconds(5)
      })
      const error = yield* Effect.flip(read(config, { A_KAFKA_ADMIN_TIMEOUT: "0 seconds" }))
      assert.include(String(error), "timeout must be a duration above zero and below 25 days")
    })
  )
})
