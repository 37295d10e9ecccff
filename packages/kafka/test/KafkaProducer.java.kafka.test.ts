import { assert, it } from "@effect/vitest"
import { Producer } from "@spillway/transport/Producer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { describeKafka } from "../../../scripts/kafka/testing.js"
import * as KafkaJsWire from "../src/KafkaJsWire.js"
import * as KafkaProducer from "../src/KafkaProducer.js"
import * as Fixture from "./kafka/fixture.js"
import * as JavaClient from "./kafka/javaClient.js"

const codecs = ["none", "gzip", "snappy", "lz4", "zstd"] as const

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64")

describeKafka("Beside Java's client", (brokers) => {
  const wire = KafkaJsWire.layer({ brokers: brokers.split(",") })

  it.scopedLive(
    "a producer's records are read by it in each codec",
    () =>
      Effect.gen(function* () {
        const java = yield* JavaClient.make(brokers)
        const expected = Array.from({ length: 500 }, (_, i) => ({
          key: Buffer.from(`key-${i}`),
          value: Buffer.from(`${i}: what a record says, ü. `.repeat(1 + (i % 7)))
        }))
        for (const compression of codecs) {
          const topic = yield* Fixture.createTopic(1)
          yield* Effect.flatMap(Producer, ({ sendAll }) =>
            sendAll(expected.map((record) => ({ topic, ...record })))
          ).pipe(Effect.provide(Layer.provide(KafkaProducer.layer({ compression }), wire)))
          const lines = yield* java.ask("read", topic, expected.length)
          assert.deepStrictEqual(
            lines,
            expected.map(({ key, value }) => `${base64(key)} ${base64(value)}`),
            compression
          )
        }
      }).pipe(Effect.provide(wire)),
    60_000
  )

  it.scopedLive(
    "keys go to the partitions that its producer chooses",
    () =>
      Effect.gen(function* () {
        const java = yield* JavaClient.make(brokers)
        const topic = yield* Fixture.createTopic(13)
        // Of all lengths, since murmur2 treats the last one to three bytes apart.
        const keys = Array.from({ length: 300 }, (_, i) =>
          Uint8Array.from({ length: i % 40 }, (_, at) => (i * 31 + at * 101 + (i >> 3)) % 256)
        ).filter(({ length }) => length > 0)
        const chosen = yield* java.ask("choose", topic, ...keys.map(base64))
        const { sendAll } = yield* Producer
        const sent = yield* sendAll(keys.map((key) => ({ topic, key, value: "ours" })))
        assert.deepStrictEqual(
          sent.map(({ partition }) => partition),
          chosen.map(Number)
        )
        assert.strictEqual(new Set(chosen).size, 13)
      }).pipe(Effect.provide(Fixture.layer(brokers))),
    60_000
  )
})
