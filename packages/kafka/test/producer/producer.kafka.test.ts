import { assert, it } from "@effect/vitest"
import * as KafkaAdmin from "@spillway/kafka/KafkaAdmin"
import * as KafkaJsWire from "@spillway/kafka/KafkaJsWire"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import { earliestTimestamp, latestTimestamp } from "@spillway/kafka/Protocol"
import * as RecordBatch from "@spillway/kafka/RecordBatch"
import * as Headers from "@spillway/transport/Headers"
import { Producer, type ProducerRecord } from "@spillway/transport/Producer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { describeKafka, uniqueName } from "../../../../scripts/kafka/testing.js"
import * as Cluster from "../../src/internal/cluster/cluster.js"

const text = (bytes: Uint8Array | null): string | null => (bytes === null ? null : new TextDecoder().decode(bytes))

/** Every record of a partition, as fetched by a consumer. */
const read = Effect.fnUntraced(function* (topic: string, partition: number) {
  const cluster = yield* Cluster.make
  yield* cluster.refresh([topic])
  const leader = cluster.leader(topic, partition)!.leader
  const offsetAt = (timestamp: number) =>
    Effect.map(
      cluster.request(leader, "data", "ListOffsets", { topics: [{ topic, partitions: [{ partition, timestamp }] }] }),
      (response) => response.topics[0]!.partitions[0]!.offset
    )
  let fetchOffset = yield* offsetAt(earliestTimestamp)
  const end = yield* offsetAt(latestTimestamp)
  const records: Array<RecordBatch.DecodedRecord> = []
  while (fetchOffset < end) {
    const response = yield* cluster.request(leader, "fetch", "Fetch", {
      maxWaitMs: 100,
      minBytes: 1,
      maxBytes: 10_000_000,
      isolationLevel: "read_uncommitted",
      rackId: "",
      topics: [{ topic, partitions: [{ partition, currentLeaderEpoch: -1, fetchOffset, maxBytes: 1_000_000 }] }]
    })
    const decoded = RecordBatch.decode(response.topics[0]!.partitions[0]!.records)
    assert.isUndefined(decoded.error)
    for (const batch of decoded.batches) {
      records.push(...batch.records.filter((record) => record.offset >= fetchOffset))
      fetchOffset = batch.nextOffset
    }
  }
  return records
}, Effect.scoped)

describeKafka("KafkaProducer on Kafka", (brokers) => {
  const live = (options?: KafkaProducer.KafkaProducerOptions) =>
    KafkaProducer.layer(options).pipe(Layer.provideMerge(KafkaJsWire.layer({ brokers: brokers.split(",") })))

  it.live("writes once and in order to forgotten topics, whose sequences Kafka remembers", () =>
    Effect.gen(function* () {
      const [topic, other] = [uniqueName("idle"), uniqueName("busy")]
      yield* KafkaAdmin.once((admin) => admin.createTopics([topic, other].map((topic) => ({ topic, partitions: 1 }))))
      const clock = yield* Effect.clock
      let aheadMs = 0
      const ahead: typeof clock = Object.assign(Object.create(clock), {
        unsafeCurrentTimeNanos: () => clock.unsafeCurrentTimeNanos() + BigInt(aheadMs) * 1_000_000n
      })
      const options = { linger: 0, metadataMaxAge: "1 minute" } as const
      const producer = yield* Effect.withClock(KafkaProducer.make(options), ahead)
      const transactional = yield* Effect.withClock(
        KafkaProducer.makeTransactional({ ...options, transactionalId: uniqueName("idle") }),
        ahead
      )
      const send = (topic: string, value: string) =>
        Effect.zipRight(
          producer.send({ topic, value }),
          transactional.transaction((transaction) => transaction.send({ topic, value: `${value} in a transaction` }))
        )
      const values = ["a", "b", "c"]
      for (const value of values) {
        yield* send(topic, value)
        for (let i = 0; i < 4; i++) {
          aheadMs += 61_000
          yield* send(other, "tick")
        }
      }
      assert.deepStrictEqual(
        (yield* read(topic, 0)).map(({ value }) => text(value)),
        values.flatMap((value) => [value, `${value} in a transaction`])
      )
    }).pipe(Effect.scoped, Effect.provide(KafkaJsWire.layer({ brokers: brokers.split(",") })))
  )

  it.live("publishes records that Kafka returns byte for byte", () =>
    Effect.gen(function* () {
      const topic = uniqueName("producer")
      yield* KafkaAdmin.once((admin) => admin.createTopics([{ topic, partitions: 3 }]))
      const producer = yield* Producer
      const headers = Headers.make([
        ["a", "1"],
        ["b", null],
        ["a", Uint8Array.of(0xff)],
        ["é", ""]
      ])
      const landed = yield* producer.sendAll([
        { topic, key: "21", value: "first", headers, timestamp: 1_700_000_000_000 },
        { topic, key: null, value: null, partition: 1 },
        { topic, key: "", value: "", partition: 1 }
      ])
      // The partition of key 21 in Java's producer: (-973932308 & 0x7fffffff) % 3.
      assert.strictEqual(landed[0]!.partition, 0)
      const [first] = yield* read(topic, 0)
      assert.strictEqual(text(first!.key), "21")
      assert.strictEqual(text(first!.value), "first")
      assert.deepStrictEqual(first!.headers, headers)
      assert.strictEqual(first!.timestamp, 1_700_000_000_000)
      const others = yield* read(topic, 1)
      assert.isNull(others[0]!.key)
      assert.isNull(others[0]!.value)
      assert.deepStrictEqual(others[1]!.key, new Uint8Array(0))
      assert.deepStrictEqual(
        others.map((record) => record.offset),
        landed.slice(1).map((metadata) => metadata.offset)
      )
      assert.strictEqual(yield* producer.partitions(topic), 3)
      yield* KafkaAdmin.once((admin) => admin.deleteTopics([topic]))
    }).pipe(Effect.provide(live()))
  )

  it.live("keeps order and offsets of many records, in batches, compressed or not", () =>
    Effect.forEach(
      ["none", "gzip", "snappy", "lz4", "zstd"] as const,
      (compression) =>
        Effect.gen(function* () {
          const topic = uniqueName("many")
          yield* KafkaAdmin.once((admin) => admin.createTopics([{ topic, partitions: 2 }]))
          const producer = yield* Producer
          const records = Array.from(
            { length: 5_000 },
            (_, i): ProducerRecord => ({ topic, value: `${i}`, partition: i % 2 })
          )
          const landed = yield* producer.sendAll(records)
          for (const partition of [0, 1]) {
            const log = yield* read(topic, partition)
            assert.deepStrictEqual(
              log.map((record) => text(record.value)),
              records.filter((record) => record.partition === partition).map((record) => record.value as string)
            )
          }
          assert.deepStrictEqual(
            landed.map((metadata) => metadata.offset),
            records.map((_, i) => Math.floor(i / 2))
          )
        }).pipe(Effect.provide(live({ compression, maxBatchBytes: 10_000 }))),
      { discard: true }
    )
  )

  it.live("sends single records of many concurrent callers", () =>
    Effect.gen(function* () {
      const topic = uniqueName("callers")
      yield* KafkaAdmin.once((admin) => admin.createTopics([{ topic, partitions: 3 }]))
      const producer = yield* Producer
      const landed = yield* Effect.forEach(
        Array.from({ length: 1_000 }, (_, i) => i),
        (i) => producer.send({ topic, key: `${i % 50}`, value: `${i}` }),
        { concurrency: "unbounded" }
      )
      for (const partition of [0, 1, 2]) {
        const log = yield* read(topic, partition)
        landed.forEach((metadata, i) => {
          if (metadata.partition === partition) assert.strictEqual(text(log[metadata.offset]!.value), `${i}`)
        })
      }
    }).pipe(Effect.provide(live()))
  )

  it.live("splits batches above the topic's own limit, and reports the record that is too large", () =>
    Effect.gen(function* () {
      const topic = uniqueName("small")
      yield* KafkaAdmin.once((admin) => admin.createTopics([{ topic, configs: { "max.message.bytes": "2000" } }]))
      const producer = yield* Producer
      const value = (size: number) => ({ topic, value: "x".repeat(size) })
      yield* producer.sendAll(Array.from({ length: 20 }, () => value(500)))
      const error = yield* Effect.flip(producer.sendAll([value(100), value(3_000), value(200)]))
      assert.strictEqual(error.reason, "RecordTooLarge")
      assert.include(error.description, "record 1 of 3")
      assert.deepStrictEqual(
        (yield* read(topic, 0)).slice(20).map((record) => record.value!.length),
        [100, 200]
      )
    }).pipe(Effect.provide(live()))
  )

  it.live("returns log-append time from the broker", () =>
    Effect.gen(function* () {
      const topic = uniqueName("append")
      yield* KafkaAdmin.once((admin) =>
        admin.createTopics([{ topic, configs: { "message.timestamp.type": "LogAppendTime" } }])
      )
      const producer = yield* Producer
      const landed = yield* producer.send({ topic, value: "a", timestamp: 1_000 })
      assert.isAbove(landed.timestamp, 1_700_000_000_000)
      assert.strictEqual((yield* read(topic, 0))[0]!.timestamp, landed.timestamp)
    }).pipe(Effect.provide(live()))
  )

  it.live("fails with a typed error if a topic is unknown, exists already, or can't be created", () =>
    Effect.gen(function* () {
      const topic = uniqueName("unknown")
      const producer = yield* Producer
      assert.strictEqual((yield* Effect.flip(producer.partitions(topic))).reason, "UnknownTopic")
      assert.strictEqual((yield* Effect.flip(producer.send({ topic, value: "a" }))).reason, "UnknownTopic")
      assert.strictEqual(
        (yield* Effect.flip(KafkaAdmin.once((admin) => admin.deleteTopics([topic])))).reason,
        "UnknownTopic"
      )
      yield* KafkaAdmin.once((admin) => admin.createTopics([{ topic }]))
      assert.strictEqual(
        (yield* Effect.flip(KafkaAdmin.once((admin) => admin.createTopics([{ topic }])))).reason,
        "TopicAlreadyExists"
      )
      const invalid = KafkaAdmin.once((admin) =>
        admin.createTopics([{ topic: uniqueName("bad"), configs: { "no.such": "thing" } }])
      )
      assert.strictEqual((yield* Effect.flip(invalid)).reason, "InvalidConfiguration")
    }).pipe(Effect.provide(live({ unknownTopicTimeout: "100 millis" })))
  )
})
