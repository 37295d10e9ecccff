import { assert, describe, it } from "@effect/vitest"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import type { FetchPartitionResponse } from "@spillway/kafka/Protocol"
import { RecordBatchError } from "@spillway/kafka/RecordBatch"
import { Wire } from "@spillway/kafka/Wire"
import { MemoryBroker } from "@spillway/memory/MemoryBroker"
import * as MetricsRegistry from "@spillway/transport/runtime/MetricsRegistry"
import * as TransportMetrics from "@spillway/transport/TransportMetrics"
import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as TestClock from "effect/TestClock"
import {
  answering,
  committed,
  group,
  makeCalls,
  onBroker,
  options,
  rewritten,
  topic
} from "../support/consumerTesting.js"

/** Changes the batch at an offset, but not its checksum. */
const damage = (offset: number, change: (batch: DataView) => void) => (answer: FetchPartitionResponse) => {
  const records = answer.records.slice()
  const view = new DataView(records.buffer)
  for (let at = 0; at < records.length; at += view.getInt32(at + 8) + 12) {
    if (Number(view.getBigInt64(at)) !== offset) continue
    change(new DataView(records.buffer, at))
    break
  }
  return { ...answer, records }
}

/** A bit of a record, and the first byte of its timestamp, which no structure depends on. */
const flip = (batch: DataView) => batch.setUint8(30, batch.getUint8(30) ^ 1)

const compressedWith = (id: number) => (batch: DataView) => batch.setInt16(21, id)

const consuming = Effect.fnUntraced(function* (
  change: (answer: FetchPartitionResponse) => FetchPartitionResponse,
  corruptBatch?: "fail" | "skip"
) {
  const broker = yield* MemoryBroker
  // A batch each, at offsets 0 to 3.
  yield* broker.produce(
    topic,
    ["a", "b", "c", "d"].map((value) => ({ value }))
  )
  const calls = makeCalls()
  const logs: Array<Record<string, unknown>> = []
  const logger = Logger.make(({ annotations, message }) => {
    logs.push({ message: String([message].flat()[0]), ...Object.fromEntries(HashMap.toEntries(annotations)) })
  })
  const consumer = yield* KafkaConsumer.make({
    ...options,
    corruptBatch,
    handler: calls.handler(() => Effect.void)
  }).pipe(
    Effect.provideService(Wire, answering(broker.wire, change)),
    Effect.provide(Logger.replace(Logger.none, logger)),
    Effect.provide(Logger.add(logger))
  )
  yield* TestClock.adjust("5 seconds")
  return { consumer, calls, logs }
})

const onTopic = onBroker({ topics: { [topic]: 1 } })

describe("a batch that can't be read", () => {
  it.effect("fails the consumer with an error that names its position, once all records before it are committed", () =>
    Effect.gen(function* () {
      const { calls, consumer } = yield* consuming(damage(2, flip))
      const error = yield* Effect.flip(consumer.wait)
      assert.strictEqual(error.reason, "CorruptBatch")
      assert.include(error.message, `${topic}-0 at offset 2`)
      assert.instanceOf(error.cause, RecordBatchError)
      assert.deepStrictEqual(calls.values(), ["a", "b"])
      assert.deepStrictEqual(yield* committed, { 0: 2 })
    }).pipe(onTopic)
  )

  it.effect("is fetched once more, in case it was damaged in transit", () =>
    Effect.gen(function* () {
      let times = 0
      const { calls, consumer } = yield* consuming((answer) => (++times === 1 ? damage(2, flip)(answer) : answer))
      assert.strictEqual(yield* consumer.status, "Running")
      assert.deepStrictEqual(calls.values(), ["a", "b", "c", "d"])
    }).pipe(onTopic)
  )

  it.scoped("is skipped if so configured, and its offsets are logged and counted", () =>
    Effect.gen(function* () {
      const metrics = yield* MetricsRegistry.make("skipping")
      const { calls, logs } = yield* consuming(damage(1, flip), "skip").pipe(
        Effect.provideService(TransportMetrics.TransportMetrics, metrics)
      )
      assert.deepStrictEqual(calls.values(), ["a", "c", "d"])
      assert.deepStrictEqual(yield* committed, { 0: 4 })
      const skipped = logs.filter(({ message }) => message === "A corrupt batch is skipped")
      assert.deepStrictEqual(
        skipped.map(({ firstOffset, lastOffset, partition, topic }) => ({ topic, partition, firstOffset, lastOffset })),
        [{ topic, partition: 0, firstOffset: 1, lastOffset: 1 }]
      )
      const counted = Metric.unsafeSnapshot()
        .filter(({ metricKey }) => metricKey.name.startsWith("skipping_skipped"))
        .map(({ metricKey, metricState }) => [metricKey.name, (metricState as { readonly count?: number }).count])
      assert.sameDeepMembers(counted, [
        ["skipping_skipped_batches_total", 1],
        ["skipping_skipped_offsets_total", 1]
      ])
    }).pipe(onTopic)
  )

  it.effect("is skipped at the end of the log by its own last offset", () =>
    Effect.gen(function* () {
      const { calls } = yield* consuming(damage(3, flip), "skip")
      assert.deepStrictEqual(calls.values(), ["a", "b", "c"])
      assert.deepStrictEqual(yield* committed, { 0: 4 })
      yield* (yield* MemoryBroker).produce(topic, [{ value: "e" }])
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(calls.values(), ["a", "b", "c", "e"])
    }).pipe(onTopic)
  )

  it.effect("is skipped up to the next batch, even if its own header is damaged", () =>
    Effect.gen(function* () {
      const { calls } = yield* consuming(
        damage(1, (batch) => batch.setInt32(23, 1_000)),
        "skip"
      )
      assert.deepStrictEqual(calls.values(), ["a", "c", "d"])
    }).pipe(onTopic)
  )

  it.effect("fails the consumer even under skip if its end can't be found", () =>
    Effect.gen(function* () {
      const { consumer } = yield* consuming(
        damage(3, (batch) => batch.setInt32(23, 1_000)),
        "skip"
      )
      const error = yield* Effect.flip(consumer.wait)
      assert.strictEqual(error.reason, "CorruptBatch")
      assert.include(error.message, "can't be skipped")
      assert.deepStrictEqual(yield* committed, { 0: 3 })
    }).pipe(onTopic)
  )

  it.effect("is detected by its damaged length rather than waited for", () =>
    Effect.gen(function* () {
      const { consumer } = yield* consuming(damage(2, (batch) => batch.setInt32(8, 1_000_000)))
      const error = yield* Effect.flip(consumer.wait)
      assert.strictEqual(error.reason, "CorruptBatch")
      assert.include(error.message, `${topic}-0 at offset 2`)
    }).pipe(onTopic)
  )

  it.effect("is reported as an unknown compression, or as malformed data of a known one", () =>
    Effect.gen(function* () {
      for (const [id, words] of [
        [7, "unknown codec (7)"],
        [4, "zstd data is malformed"]
      ] as const) {
        const broker = yield* MemoryBroker
        yield* broker.createTopic(`compressed-${id}`)
        yield* broker.produce(`compressed-${id}`, [{ value: "a" }])
        const consumer = yield* KafkaConsumer.make({
          ...options,
          groupId: `${group}-${id}`,
          topics: [`compressed-${id}`],
          handler: () => Effect.void
        }).pipe(
          Effect.provideService(
            Wire,
            answering(broker.wire, (answer) => ({
              ...answer,
              records: rewritten(answer.records, compressedWith(id))
            }))
          )
        )
        yield* TestClock.adjust("5 seconds")
        const error = yield* Effect.flip(consumer.wait)
        assert.strictEqual(error.reason, "CorruptBatch")
        assert.include(error.message, words)
      }
    }).pipe(onTopic)
  )
})
