import { assert, it } from "@effect/vitest"
import { Producer } from "@spillway/transport/Producer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { describeKafka, uniqueName } from "../../../../scripts/kafka/testing.js"
import * as KafkaJsWire from "../../src/KafkaJsWire.js"
import * as KafkaProducer from "../../src/KafkaProducer.js"
import * as Fixture from "../support/fixture.js"
import * as JavaClient from "../support/javaClient.js"

const codecs = ["none", "gzip", "snappy", "lz4", "zstd"] as const

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64")

const linesOf = (records: ReadonlyArray<{ readonly key: Uint8Array; readonly value: Uint8Array }>) =>
  records.map(({ key, value }) => `${base64(key)} ${base64(value)}`)

describeKafka("Beside Java's client", (brokers) => {
  const wire = KafkaJsWire.layer({ brokers: brokers.split(",") })

  it.scopedLive(
    "Spillway's records are readable in each codec",
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
          assert.deepStrictEqual(lines, linesOf(expected), compression)
        }
      }).pipe(Effect.provide(wire)),
    60_000
  )

  it.scopedLive(
    "keys map to the same partitions",
    () =>
      Effect.gen(function* () {
        const java = yield* JavaClient.make(brokers)
        const topic = yield* Fixture.createTopic(13)
        // Keys of all lengths, since murmur2 handles the last one to three bytes separately.
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

  it.scopedLive(
    "transactional records are readable if committed",
    () =>
      Effect.gen(function* () {
        const java = yield* JavaClient.make(brokers)
        const topic = yield* Fixture.createTopic(1)
        const batchOf = (name: string) =>
          Array.from({ length: 100 }, (_, i) => ({
            topic,
            key: Buffer.from(name),
            value: Buffer.from(`${i}: what a record says, ü. `)
          }))
        const make = (compression: (typeof codecs)[number]) =>
          KafkaProducer.makeTransactional({ transactionalId: uniqueName("tx"), compression })
        const [one, other] = yield* Effect.all([make("zstd"), make("none")])
        const abort = (name: string) =>
          Effect.exit(one.transaction((tx) => Effect.zipRight(tx.sendAll(batchOf(name)), Effect.fail("no"))))
        yield* abort("aborted at first")
        yield* one.transaction((tx) => tx.sendAll(batchOf("committed")))
        // Transactions of two producers, one within the other's.
        yield* other.transaction((tx) =>
          Effect.all([
            tx.sendAll(batchOf("committed around it, before")),
            abort("aborted in between"),
            tx.sendAll(batchOf("committed around it, after"))
          ])
        )
        yield* abort("aborted at last")
        const written = [
          "aborted at first",
          "committed",
          "committed around it, before",
          "aborted in between",
          "committed around it, after",
          "aborted at last"
        ]
        const open = yield* one.begin
        yield* open.sendAll(batchOf("not ended"))
        assert.deepStrictEqual(
          yield* java.ask("committed", topic),
          linesOf(written.filter((name) => name.startsWith("committed")).flatMap(batchOf))
        )
        const all = [...written, "not ended"].flatMap(batchOf)
        assert.deepStrictEqual(yield* java.ask("read", topic, all.length), linesOf(all))
      }).pipe(Effect.provide(wire)),
    60_000
  )
})
