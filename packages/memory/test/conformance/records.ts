/**
 * Writing, reading and looking up offsets in topics.
 */
import { assert } from "@effect/vitest"
import { KafkaErrorCode } from "@spillway/kafka/KafkaErrorCode"
import {
  earliestTimestamp,
  type FetchPartitionResponse,
  type FetchRequest,
  latestTimestamp
} from "@spillway/kafka/Protocol"
import * as RecordBatch from "@spillway/kafka/RecordBatch"
import * as Headers from "@spillway/transport/Headers"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { createTopic, eventually, openSession, type Session, type Suite } from "./harness.js"

const utf8 = (text: string) => new TextEncoder().encode(text)

const record = (value: string, timestamp = 1_000): RecordBatch.EncodableRecord => ({
  key: null,
  value: utf8(value),
  headers: Headers.empty,
  timestamp
})

const produce = ({ data }: Session, topic: string, records: Uint8Array, partition = 0, acks: -1 | 0 | 1 = -1) =>
  Effect.map(
    data.request("Produce", {
      transactionalId: null,
      acks,
      timeoutMs: 10_000,
      topics: [{ topic, partitions: [{ partition, records }] }]
    }),
    ({ topics }) => topics[0]!.partitions[0]!
  )

const values = (session: Session, topic: string, texts: ReadonlyArray<string>, partition = 0) =>
  produce(session, topic, RecordBatch.encode(texts.map((text) => record(text))), partition)

interface FetchOptions extends Partial<Omit<FetchRequest, "topics">> {
  readonly partitions?: ReadonlyArray<Partial<FetchRequest["topics"][number]["partitions"][number]>>
}

const fetch = ({ fetch }: Session, topic: string, { partitions = [{}], ...options }: FetchOptions = {}) =>
  Effect.map(
    fetch.request("Fetch", {
      maxWaitMs: 0,
      minBytes: 1,
      maxBytes: 10_000_000,
      isolationLevel: "read_uncommitted",
      rackId: "",
      topics: [
        {
          topic,
          partitions: partitions.map((partition) => ({
            partition: 0,
            currentLeaderEpoch: -1,
            fetchOffset: 0,
            maxBytes: 1_000_000,
            ...partition
          }))
        }
      ],
      ...options
    }),
    ({ topics }) => topics[0]!.partitions
  )

const fetchOne = (session: Session, topic: string, options?: FetchOptions) =>
  Effect.map(fetch(session, topic, options), ([partition]) => partition!)

const decode = ({ records }: FetchPartitionResponse) => {
  const { batches, error } = RecordBatch.decode(records)
  assert.isUndefined(error)
  return batches.flatMap((batch) => batch.records)
}

const texts = (response: FetchPartitionResponse) =>
  decode(response).map(({ value }) => (value === null ? null : new TextDecoder().decode(value)))

const listOffset = ({ data }: Session, topic: string, timestamp: number, partition = 0) =>
  Effect.map(
    data.request("ListOffsets", { topics: [{ topic, partitions: [{ partition, timestamp }] }] }),
    ({ topics }) => topics[0]!.partitions[0]!
  )

export const records = ({ test }: Suite): void => {
  test("keeps keys, values and headers unchanged", (harness) =>
    Effect.gen(function* () {
      const session = yield* openSession(harness)
      const topic = yield* createTopic(harness, session)
      const written: ReadonlyArray<RecordBatch.EncodableRecord> = [
        { key: null, value: null, headers: Headers.empty, timestamp: 1_000 },
        { key: utf8(""), value: utf8(""), headers: Headers.empty, timestamp: 999 },
        {
          key: Uint8Array.of(0, 255, 128),
          value: Uint8Array.of(254, 0),
          timestamp: 2_000,
          headers: [
            ["b", utf8("1")],
            ["a", null],
            ["b", Uint8Array.of(255, 254)],
            ["10", utf8("")],
            ["2", utf8("two")],
            ["ü", utf8("3")]
          ]
        }
      ]
      const answer = yield* produce(session, topic, RecordBatch.encode(written))
      assert.deepStrictEqual(answer, { partition: 0, errorCode: 0, baseOffset: 0, logAppendTimeMs: -1 })
      const read = decode(yield* fetchOne(session, topic))
      assert.deepStrictEqual(
        read.map(({ headers, key, timestamp, value }) => plain({ key, value, headers, timestamp })),
        written.map(plain)
      )
      assert.deepStrictEqual(
        read.map(({ offset }) => offset),
        [0, 1, 2]
      )
    }))

  test("gives batches consecutive offsets, by partition", (harness) =>
    Effect.gen(function* () {
      const session = yield* openSession(harness)
      const topic = yield* createTopic(harness, session, 2)
      assert.strictEqual((yield* values(session, topic, ["a", "b"])).baseOffset, 0)
      assert.strictEqual((yield* values(session, topic, ["c"])).baseOffset, 2)
      assert.strictEqual((yield* values(session, topic, ["d"], 1)).baseOffset, 0)
      assert.strictEqual((yield* values(session, topic, ["e"])).baseOffset, 3)
      const [first, second] = yield* fetch(session, topic, { partitions: [{ partition: 0 }, { partition: 1 }] })
      assert.deepStrictEqual(texts(first!), ["a", "b", "c", "e"])
      assert.deepStrictEqual(texts(second!), ["d"])
      assert.strictEqual(first!.highWatermark, 4)
      assert.strictEqual(first!.lastStableOffset, 4)
      assert.strictEqual(first!.logStartOffset, 0)
    }))

  test("reads from the batch that holds the offset", (harness) =>
    Effect.gen(function* () {
      const session = yield* openSession(harness)
      const topic = yield* createTopic(harness, session)
      yield* values(session, topic, ["a"])
      yield* values(session, topic, ["b", "c", "d"])
      const read = yield* fetchOne(session, topic, { partitions: [{ fetchOffset: 2 }] })
      assert.deepStrictEqual(texts(read), ["b", "c", "d"])
    }))

  test("limits a response, but returns at least one batch", (harness) =>
    Effect.gen(function* () {
      const session = yield* openSession(harness)
      const topic = yield* createTopic(harness, session, 2)
      for (const text of ["a", "b", "c"]) yield* values(session, topic, [text])
      for (const text of ["d", "e"]) yield* values(session, topic, [text], 1)
      const size = RecordBatch.encode([record("a")]).length
      const both = (options: FetchOptions, maxBytes = 1_000_000) =>
        Effect.map(
          fetch(session, topic, { ...options, partitions: [{ maxBytes }, { partition: 1, maxBytes }] }),
          (partitions) => partitions.map(texts)
        )
      assert.deepStrictEqual(yield* both({}, 2 * size), [
        ["a", "b"],
        ["d", "e"]
      ])
      assert.deepStrictEqual(yield* both({ maxBytes: 1 }), [["a"], []])
      assert.deepStrictEqual(yield* both({}, 1), [["a"], []])
      assert.deepStrictEqual(yield* both({ maxBytes: 4 * size }), [["a", "b", "c"], ["d"]])
    }))

  test("refuses records that it can't write", (harness) =>
    Effect.gen(function* () {
      const session = yield* openSession(harness)
      const topic = yield* createTopic(harness, session, 1, [{ name: "max.message.bytes", value: "1000" }])
      const one = RecordBatch.encode([record("one")])
      const corrupt = one.slice()
      corrupt[corrupt.length - 3]! ^= 1
      const codeOf = (records: Uint8Array, partition?: number, name = topic) =>
        Effect.map(produce(session, name, records, partition), ({ errorCode }) => errorCode)
      assert.strictEqual(yield* codeOf(one, 0, `${topic}-unknown`), KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
      assert.strictEqual(yield* codeOf(one, 7), KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
      assert.strictEqual(yield* codeOf(corrupt), KafkaErrorCode.CORRUPT_MESSAGE)
      assert.strictEqual(
        yield* codeOf(RecordBatch.encode([record("x".repeat(1_000))])),
        KafkaErrorCode.MESSAGE_TOO_LARGE
      )
      const end = yield* listOffset(session, topic, latestTimestamp)
      assert.strictEqual(end.offset, 0)
    }))

  test("writes without acknowledgement", (harness) =>
    Effect.gen(function* () {
      const session = yield* openSession(harness)
      const topic = yield* createTopic(harness, session)
      const answer = yield* produce(session, topic, RecordBatch.encode([record("a")]), 0, 0)
      assert.deepStrictEqual(answer, { partition: 0, errorCode: 0, baseOffset: -1, logAppendTimeMs: -1 })
      const end = yield* eventually(listOffset(session, topic, latestTimestamp), ({ offset }) => offset > 0)
      assert.strictEqual(end.offset, 1)
    }))

  test("wakes a long poll by a write", (harness) =>
    Effect.gen(function* () {
      const session = yield* openSession(harness)
      const topic = yield* createTopic(harness, session)
      const read = yield* Effect.fork(fetchOne(session, topic, { maxWaitMs: 120_000 }))
      yield* Effect.yieldNow()
      yield* values(session, topic, ["a"])
      assert.deepStrictEqual(texts(yield* Fiber.join(read)), ["a"])
    }))

  test("a long poll waits for enough bytes", (harness) =>
    Effect.gen(function* () {
      const session = yield* openSession(harness)
      const topic = yield* createTopic(harness, session)
      const size = RecordBatch.encode([record("a")]).length
      yield* values(session, topic, ["a"])
      const read = yield* Effect.fork(fetchOne(session, topic, { maxWaitMs: 120_000, minBytes: 2 * size }))
      yield* Effect.yieldNow()
      yield* values(session, topic, ["b"])
      assert.deepStrictEqual(texts(yield* Fiber.join(read)), ["a", "b"])
    }))

  test("ends a long poll with the available records when its wait is over", (harness) =>
    Effect.gen(function* () {
      const session = yield* openSession(harness)
      const topic = yield* createTopic(harness, session)
      const empty = yield* Effect.fork(fetchOne(session, topic, { maxWaitMs: 300 }))
      yield* harness.elapse(300)
      const { errorCode, highWatermark, records } = yield* Fiber.join(empty)
      assert.deepStrictEqual(
        { errorCode, highWatermark, size: records.length },
        { errorCode: 0, highWatermark: 0, size: 0 }
      )
      yield* values(session, topic, ["a"])
      const little = yield* Effect.fork(fetchOne(session, topic, { maxWaitMs: 300, minBytes: 10_000 }))
      yield* harness.elapse(300)
      assert.deepStrictEqual(texts(yield* Fiber.join(little)), ["a"])
    }))

  test("answers a fetch that has to wait", (harness) =>
    Effect.gen(function* () {
      const session = yield* openSession(harness)
      const topic = yield* createTopic(harness, session)
      yield* values(session, topic, ["a"])
      const maxWaitMs = 120_000
      const beyond = yield* fetchOne(session, topic, { maxWaitMs, partitions: [{ fetchOffset: 2 }] })
      assert.strictEqual(beyond.errorCode, KafkaErrorCode.OFFSET_OUT_OF_RANGE)
      assert.strictEqual(beyond.records.length, 0)
      const unknown = yield* fetchOne(session, `${topic}-unknown`, { maxWaitMs })
      assert.strictEqual(unknown.errorCode, KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
      const partitions = [{ partition: 3 }, { partition: 0 }]
      const answers = yield* fetch(session, topic, { maxWaitMs, partitions })
      const codes = new Map(answers.map(({ errorCode, partition }) => [partition, errorCode]))
      assert.strictEqual(codes.get(3), KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
      assert.strictEqual(codes.get(0), KafkaErrorCode.NONE)
    }))

  test("a long poll holds up only requests behind it on its connection", (harness) =>
    Effect.gen(function* () {
      const session = yield* openSession(harness)
      const topic = yield* createTopic(harness, session)
      const other = yield* createTopic(harness, session)
      yield* values(session, other, ["ready"])
      const order: Array<string> = []
      const first = yield* Effect.fork(
        Effect.tap(fetchOne(session, topic, { maxWaitMs: 120_000 }), () => Effect.sync(() => order.push("parked")))
      )
      yield* Effect.yieldNow()
      const second = yield* Effect.fork(
        Effect.tap(fetchOne(session, other), () => Effect.sync(() => order.push("behind")))
      )
      yield* values(session, topic, ["a"])
      yield* Fiber.join(Fiber.zip(first, second))
      assert.deepStrictEqual(order, ["parked", "behind"])
    }))

  test("finds offsets by position and by time", (harness) =>
    Effect.gen(function* () {
      const session = yield* openSession(harness)
      const topic = yield* createTopic(harness, session)
      const position = (timestamp: number) =>
        Effect.map(listOffset(session, topic, timestamp), ({ errorCode, offset, timestamp }) => [
          errorCode,
          offset,
          timestamp
        ])
      assert.deepStrictEqual(yield* position(earliestTimestamp), [0, 0, -1])
      assert.deepStrictEqual(yield* position(latestTimestamp), [0, 0, -1])
      assert.deepStrictEqual(yield* position(0), [0, -1, -1])
      yield* produce(session, topic, RecordBatch.encode([record("a", 1_000), record("b", 3_000), record("c", 2_000)]))
      yield* produce(session, topic, RecordBatch.encode([record("d", 5_000)]))
      assert.deepStrictEqual(yield* position(earliestTimestamp), [0, 0, -1])
      assert.deepStrictEqual(yield* position(latestTimestamp), [0, 4, -1])
      assert.deepStrictEqual(yield* position(0), [0, 0, 1_000])
      assert.deepStrictEqual(yield* position(2_000), [0, 1, 3_000])
      assert.deepStrictEqual(yield* position(3_001), [0, 3, 5_000])
      assert.deepStrictEqual(yield* position(5_001), [0, -1, -1])
      const unknown = yield* listOffset(session, topic, latestTimestamp, 5)
      assert.strictEqual(unknown.errorCode, KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    }))

  test("returns the end offset of a leader epoch", (harness) =>
    Effect.gen(function* () {
      const session = yield* openSession(harness)
      const topic = yield* createTopic(harness, session)
      yield* values(session, topic, ["a", "b"])
      const end = (leaderEpoch: number, currentLeaderEpoch = 0, partition = 0) =>
        Effect.map(
          session.fetch.request("OffsetForLeaderEpoch", {
            topics: [{ topic, partitions: [{ partition, currentLeaderEpoch, leaderEpoch }] }]
          }),
          ({ topics }) => topics[0]!.partitions[0]!
        )
      assert.deepStrictEqual(yield* end(0), { partition: 0, errorCode: 0, leaderEpoch: 0, endOffset: 2 })
      assert.deepStrictEqual(yield* end(0, -1), { partition: 0, errorCode: 0, leaderEpoch: 0, endOffset: 2 })
      assert.deepStrictEqual(yield* end(5), { partition: 0, errorCode: 0, leaderEpoch: -1, endOffset: -1 })
      assert.strictEqual((yield* end(0, 7)).errorCode, KafkaErrorCode.UNKNOWN_LEADER_EPOCH)
      assert.strictEqual((yield* end(0, 0, 3)).errorCode, KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    }))

  test("describes, creates and deletes topics", (harness) =>
    Effect.gen(function* () {
      const session = yield* openSession(harness)
      const { data } = session
      const topic = yield* createTopic(harness, session, 3)
      const metadata = yield* data.request("Metadata", { topics: [topic, `${topic}-unknown`, "no/topic"] })
      const codes = new Map(metadata.topics.map((one) => [one.topic, one.errorCode]))
      assert.strictEqual(codes.get(topic), KafkaErrorCode.NONE)
      assert.strictEqual(codes.get(`${topic}-unknown`), KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
      assert.strictEqual(codes.get("no/topic"), KafkaErrorCode.INVALID_TOPIC_EXCEPTION)
      const partitions = metadata.topics.find((one) => one.topic === topic)!.partitions
      const nodeIds = metadata.brokers.map(({ nodeId }) => nodeId)
      assert.sameMembers(
        partitions.map(({ partition }) => partition),
        [0, 1, 2]
      )
      for (const { errorCode, leader } of partitions) {
        assert.strictEqual(errorCode, KafkaErrorCode.NONE)
        assert.include(nodeIds, leader)
      }
      assert.include(nodeIds, metadata.controllerId)
      const all = yield* data.request("Metadata", { topics: null })
      assert.include(
        all.topics.map((one) => one.topic),
        topic
      )
      assert.deepStrictEqual((yield* data.request("Metadata", { topics: [] })).topics, [])

      const create = (topic: string, partitions: number, replicationFactor = -1) =>
        Effect.map(
          data.request("CreateTopics", {
            timeoutMs: 10_000,
            topics: [{ topic, partitions, replicationFactor, configs: [] }]
          }),
          ({ topics }) => topics[0]!.errorCode
        )
      assert.strictEqual(yield* create(topic, 1), KafkaErrorCode.TOPIC_ALREADY_EXISTS)
      assert.strictEqual(yield* create(harness.unique("none"), 0), KafkaErrorCode.INVALID_PARTITIONS)
      assert.strictEqual(yield* create("no/topic", 1), KafkaErrorCode.INVALID_TOPIC_EXCEPTION)
      assert.strictEqual(yield* create(harness.unique("many"), 1, 99), KafkaErrorCode.INVALID_REPLICATION_FACTOR)

      const remove = data.request("DeleteTopics", { timeoutMs: 10_000, topics: [topic, `${topic}-unknown`] })
      const removed = new Map((yield* remove).topics.map((one) => [one.topic, one.errorCode]))
      assert.strictEqual(removed.get(topic), KafkaErrorCode.NONE)
      assert.strictEqual(removed.get(`${topic}-unknown`), KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
      yield* eventually(
        data.request("Metadata", { topics: [topic] }),
        ({ topics }) => topics[0]?.errorCode === KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION
      )
    }))

  test("cutting off one client doesn't affect the other", (harness) =>
    Effect.gen(function* () {
      const session = yield* openSession(harness)
      const other = yield* openSession(harness)
      const topic = yield* createTopic(harness, session)
      const parked = yield* Effect.fork(Effect.flip(fetchOne(session, topic, { maxWaitMs: 120_000 })))
      const alive = yield* Effect.fork(fetchOne(other, topic, { maxWaitMs: 120_000 }))
      yield* Effect.yieldNow()
      yield* session.client.cut
      assert.strictEqual((yield* Fiber.join(parked)).reason, "Disconnected")
      assert.strictEqual((yield* session.data.closed).reason, "Disconnected")
      assert.strictEqual((yield* Effect.flip(values(session, topic, ["lost"]))).reason, "Disconnected")
      yield* values(other, topic, ["a"])
      assert.deepStrictEqual(texts(yield* Fiber.join(alive)), ["a"])
    }))
}

const plain = ({ headers, key, timestamp, value }: RecordBatch.EncodableRecord) => ({
  key: key === null ? null : [...key],
  value: value === null ? null : [...value],
  headers: headers.map(([name, bytes]) => [name, bytes === null ? null : [...bytes]]),
  timestamp
})
