/**
 * Reading a topic without a group.
 */
import { assert } from "@effect/vitest"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import * as KafkaReader from "@spillway/kafka/KafkaReader"
import { Wire } from "@spillway/kafka/Wire"
import type { ConsumedRecord } from "@spillway/transport/Envelope"
import * as Position from "@spillway/transport/Position"
import * as Chunk from "effect/Chunk"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { createTopic, eventually, type Harness, openSession, type Suite } from "./harness.js"

const partitions = 3
const perPartition = 100
/** Record `i` of a partition has the timestamp `firstTimestamp + i`. */
const firstTimestamp = 1_000_000

const fill = (harness: Harness, topic: string, from = 0, count = perPartition) =>
  Effect.gen(function* () {
    const { wire } = yield* harness.client
    const producer = yield* KafkaProducer.make({ compression: "gzip", maxBatchRecords: 30 }).pipe(
      Effect.provideService(Wire, wire)
    )
    yield* producer.sendAll(
      Array.from({ length: partitions * count }, (_, i) => ({
        topic,
        partition: i % partitions,
        value: Buffer.from(`${i % partitions}/${from + Math.floor(i / partitions)}`),
        timestamp: firstTimestamp + from + Math.floor(i / partitions)
      }))
    )
  }).pipe(Effect.scoped)

const textOf = ({ value }: ConsumedRecord): string => Buffer.from(value!).toString()

const offsetsOf = (records: Chunk.Chunk<ConsumedRecord>, partition: number): ReadonlyArray<number> =>
  Chunk.toReadonlyArray(records)
    .filter((record) => record.partition === partition)
    .map(({ offset }) => offset)

const range = (from: number, to: number): ReadonlyArray<number> => Array.from({ length: to - from }, (_, i) => from + i)

export const readers = ({ test }: Suite): void => {
  const onTopic = (
    name: string,
    body: (
      harness: Harness,
      topic: string,
      read: (
        options?: Omit<KafkaReader.ReadOptions, "topic">
      ) => Stream.Stream<ConsumedRecord, Stream.Stream.Error<ReturnType<typeof KafkaReader.read>>>
    ) => Effect.Effect<void, unknown, Scope.Scope>
  ) =>
    test(name, (harness) =>
      Effect.gen(function* () {
        const session = yield* openSession(harness)
        const topic = yield* createTopic(harness, session, partitions)
        yield* fill(harness, topic)
        const { wire } = yield* harness.client
        yield* body(harness, topic, (options) =>
          Stream.provideService(KafkaReader.read({ topic, ...options }), Wire, wire)
        )
      })
    )

  onTopic("a reader reads each partition in order, to the end at the start", (harness, topic, read) =>
    Effect.gen(function* () {
      let wroteMore = false
      const records = yield* Stream.runCollect(
        Stream.mapChunksEffect(read(), (chunk) => {
          if (wroteMore) return Effect.succeed(chunk)
          wroteMore = true
          return Effect.as(fill(harness, topic, perPartition, 10), chunk)
        })
      )
      for (const partition of range(0, partitions)) {
        assert.deepStrictEqual(offsetsOf(records, partition), range(0, perPartition))
      }
      for (const record of records) assert.strictEqual(textOf(record), `${record.partition}/${record.offset}`)
    })
  )

  onTopic("a reader starts and stops at positions", (_, __, read) =>
    Effect.gen(function* () {
      const offsets = yield* Stream.runCollect(
        read({ partitions: [1], from: Position.offset(20), to: Position.offset(35) })
      )
      assert.deepStrictEqual(offsetsOf(offsets, 1), range(20, 35))
      assert.strictEqual(offsets.length, 15)
      const times = yield* Stream.runCollect(
        read({
          partitions: [0, 2],
          from: Position.timestamp(firstTimestamp + 90),
          to: Position.timestamp(firstTimestamp + 95)
        })
      )
      assert.deepStrictEqual(offsetsOf(times, 0), range(90, 95))
      assert.deepStrictEqual(offsetsOf(times, 2), range(90, 95))
      const late = Position.timestamp(firstTimestamp + perPartition)
      assert.strictEqual((yield* Stream.runCollect(read({ from: late }))).length, 0)
      assert.strictEqual((yield* Stream.runCollect(read({ from: Position.end }))).length, 0)
    })
  )

  onTopic("a reader continues with records as they are written", (harness, topic, read) =>
    Effect.gen(function* () {
      const found: Array<ConsumedRecord> = []
      const reading = yield* Effect.fork(
        Stream.runForEach(read({ from: Position.end, to: "forever", partitions: [2] }), (record) =>
          Effect.sync(() => found.push(record))
        )
      )
      let written = perPartition
      yield* eventually(
        Effect.suspend(() => {
          const from = written++
          return Effect.zipRight(fill(harness, topic, from, 1), harness.elapse("100 millis"))
        }),
        () => found.length >= 3
      )
      const offsets = found.map(({ offset }) => offset)
      assert.deepStrictEqual(offsets, range(offsets[0]!, offsets[0]! + offsets.length))
      yield* Fiber.interrupt(reading)
    })
  )

  onTopic("a reader fails for what isn't there", (harness, _, read) =>
    Effect.gen(function* () {
      const error = (options: Omit<KafkaReader.ReadOptions, "topic"> & { readonly topic?: string }) =>
        Effect.map(Effect.flip(Stream.runDrain(read(options))), (error) =>
          error._tag === "KafkaReaderError"
            ? [error.reason, error.partition, error.offset]
            : error.issues.map(({ field }) => field)
        )
      assert.deepStrictEqual(yield* error({ from: Position.offset(perPartition + 1), partitions: [0] }), [
        "OffsetOutOfRange",
        0,
        perPartition + 1
      ])
      assert.deepStrictEqual(yield* error({ partitions: [0, partitions] }), ["UnknownPartition", partitions, undefined])
      assert.deepStrictEqual(yield* error({ topic: harness.unique("missing"), unknownTopicTimeout: 0 }), [
        "UnknownTopic",
        undefined,
        undefined
      ])
      assert.deepStrictEqual(yield* error({ fetchMaxBytes: 0, partitions: [1, 1], fetchMaxWait: Duration.infinity }), [
        "partitions",
        "fetchMaxBytes",
        "fetchMaxWait"
      ])
    })
  )

  onTopic(
    "a reader of committed records leaves out aborted ones and ends before an open transaction",
    (harness, topic, read) =>
      Effect.gen(function* () {
        const { wire } = yield* harness.client
        const transactional = KafkaProducer.makeTransactional({ transactionalId: harness.unique("id") }).pipe(
          Effect.provideService(Wire, wire)
        )
        yield* Effect.scoped(
          Effect.gen(function* () {
            const producer = yield* transactional
            const send = (value: string) => ({ topic, partition: 0, value: Buffer.from(value) })
            yield* Effect.exit(
              producer.transaction((transaction) =>
                Effect.zipRight(transaction.send(send("aborted")), Effect.fail("aborted"))
              )
            )
            yield* producer.transaction((transaction) => transaction.send(send("committed")))
            yield* producer.transaction((transaction) =>
              Effect.gen(function* () {
                yield* transaction.send(send("open"))
                const committed = yield* Stream.runCollect(
                  read({ partitions: [0], from: Position.offset(perPartition) })
                )
                assert.deepStrictEqual(Chunk.toReadonlyArray(committed).map(textOf), ["committed"])
                const all = yield* Stream.runCollect(
                  read({ partitions: [0], from: Position.offset(perPartition), isolationLevel: "read_uncommitted" })
                )
                assert.deepStrictEqual(Chunk.toReadonlyArray(all).map(textOf), ["aborted", "committed", "open"])
              })
            )
          })
        )
      })
  )
}
