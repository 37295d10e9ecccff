import { assert, it } from "@effect/vitest"
import * as Headers from "@spillway/transport/Headers"
import * as Effect from "effect/Effect"
import { describeKafka } from "../../../../scripts/kafka/testing.js"
import * as Cluster from "../../src/internal/cluster/cluster.js"
import * as RecordBatch from "../../src/RecordBatch.js"
import * as Fixture from "../support/fixture.js"
import * as JavaClient from "../support/javaClient.js"

const codecs = ["gzip", "snappy", "lz4", "zstd"] as const

const count = 5_000

const utf8 = (text: string) => new TextEncoder().encode(text)

/** The records that `JavaClient.java` sends. */
const expected = Array.from({ length: count }, (_, i) => ({
  key: `key-${i}`,
  value: `${i}: what a record says, ü. `.repeat(1 + (i % 7))
}))

const text = (bytes: Uint8Array | null) => Buffer.from(bytes ?? []).toString()

/** The encoded batches of partition 0. */
const readBatches = (topic: string) =>
  Effect.scoped(
    Effect.gen(function* () {
      const cluster = yield* Cluster.make
      const [metadata] = yield* cluster.refresh([topic])
      const answers: Array<Uint8Array> = []
      let end = 1
      for (let fetchOffset = 0; fetchOffset < end; ) {
        const { topics } = yield* cluster.request(metadata!.partitions[0]!.leader, "fetch", "Fetch", {
          maxWaitMs: 0,
          minBytes: 1,
          maxBytes: 50_000_000,
          isolationLevel: "read_uncommitted",
          rackId: "",
          topics: [{ topic, partitions: [{ partition: 0, currentLeaderEpoch: -1, fetchOffset, maxBytes: 50_000_000 }] }]
        })
        const { highWatermark, records } = topics[0]!.partitions[0]!
        answers.push(records)
        end = highWatermark
        fetchOffset = RecordBatch.decode(records).batches.at(-1)!.nextOffset
      }
      return answers
    })
  )

describeKafka("Compressed batches", (brokers) => {
  it.scopedLive(
    "of Kafka's Java client are read, and ours are read by it, with every codec",
    () =>
      Effect.gen(function* () {
        const java = yield* JavaClient.make(brokers)
        yield* Effect.forEach(codecs, (codec) =>
          Effect.gen(function* () {
            const fromJava = yield* Fixture.createTopic(1)
            yield* java.ask("send", codec, fromJava, count)
            const answers = yield* readBatches(fromJava)
            const ids = answers.map((bytes) => (RecordBatch.readHeader(bytes) as RecordBatch.BatchHeader).compressionId)
            assert.deepStrictEqual(new Set(ids), new Set([["none", ...codecs].indexOf(codec)]), codec)
            const decoded = answers.map((bytes) => RecordBatch.decode(bytes))
            for (const { error } of decoded) assert.isUndefined(error, codec)
            const records = decoded.flatMap(({ batches }) => batches.flatMap((batch) => batch.records))
            assert.deepStrictEqual(
              records.map(({ key, value }) => ({ key: text(key), value: text(value) })),
              expected
            )
            // More than one block of each format.
            const sizes = decoded.flatMap(({ batches }) => batches.map((batch) => batch.sizeInBytes))
            assert.isAbove(Math.max(...sizes), 150_000, codec)

            const ours = yield* Fixture.createTopic(1)
            const batch = RecordBatch.encode(
              expected.map(({ key, value }, timestamp) => ({
                key: utf8(key),
                value: utf8(value),
                headers: Headers.empty,
                timestamp
              })),
              { compression: codec }
            )
            yield* Fixture.produceBatch(ours, 0, batch)
            const lines = yield* java.ask("read", ours, count)
            assert.deepStrictEqual(
              lines.map((line) => {
                const [key, value] = line.split(" ").map((word) => Buffer.from(word, "base64").toString())
                return { key, value }
              }),
              expected
            )
          })
        )
      }).pipe(Effect.provide(Fixture.layer(brokers))),
    60_000
  )
})
