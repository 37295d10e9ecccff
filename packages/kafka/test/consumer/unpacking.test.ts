import { assert, describe, it } from "@effect/vitest"
import { crc32c } from "@node-rs/crc32"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import * as RecordBatch from "@spillway/kafka/RecordBatch"
import { Wire } from "@spillway/kafka/Wire"
import { MemoryBroker } from "@spillway/memory/MemoryBroker"
import * as Position from "@spillway/transport/Position"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import { answering, committed, makeCalls, onBroker, options, topic } from "../support/consumerTesting.js"

/** Enough for a batch that is unpacked in several slices. */
const count = 40_000

const records = Array.from({ length: count }, (_, i) => ({
  key: null,
  value: new TextEncoder().encode(String(i)),
  headers: [],
  timestamp: 0
}))

const batch = RecordBatch.encode(records, { compression: "zstd" })

const malformedAt = 25_000

/** The same batch with an impossible key length in one record, and a correct checksum. */
const malformed = (): Uint8Array => {
  const bytes = RecordBatch.encode(records)
  let at = RecordBatch.batchOverhead
  // Each record is shorter than 64 bytes, so its length takes one byte.
  for (let i = 0; i < malformedAt; i++) at += 1 + bytes[at]! / 2
  // Behind its length, attributes, timestamp and offset (three bytes).
  bytes[at + 6] = 3
  new DataView(bytes.buffer).setUint32(17, crc32c(bytes.subarray(21)))
  return bytes
}

/** Appends the batch, so that the broker holds it as it is. */
const append = Effect.scoped(
  Effect.gen(function* () {
    const { bootstrap, connect } = yield* Wire
    const connection = yield* connect(bootstrap[0]!, "data")
    yield* connection.request("Produce", {
      transactionalId: null,
      acks: -1,
      timeoutMs: 1_000,
      topics: [{ topic, partitions: [{ partition: 0, records: batch }] }]
    })
  })
)

const onTopic = onBroker({ topics: { [topic]: 1 } })

const numbers = (from: number, to = count) => Array.from({ length: to - from }, (_, i) => String(from + i))

describe("a batch that is unpacked in slices", () => {
  it.scoped("is committed up to the stop of its consumer, and the next one continues there", () =>
    Effect.gen(function* () {
      yield* append
      const calls = makeCalls()
      const reached = yield* Deferred.make<void>()
      const gate = yield* Deferred.make<void>()
      const consumer = yield* KafkaConsumer.make({
        ...options,
        handler: calls.handler(({ offset }) =>
          offset === 12_345 ? Effect.zipRight(Deferred.succeed(reached, undefined), Deferred.await(gate)) : Effect.void
        )
      })
      const waiting = yield* Effect.fork(Deferred.await(reached))
      yield* TestClock.adjust("5 seconds")
      assert.isNotNull(waiting.unsafePoll())
      yield* Effect.fork(consumer.stop)
      yield* TestClock.adjust("1 second")
      yield* Deferred.succeed(gate, undefined)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* consumer.wait).handled, 12_346)
      assert.deepStrictEqual(yield* committed, { 0: 12_346 })
      yield* KafkaConsumer.make({ ...options, handler: calls.handler(() => Effect.void) })
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(calls.values(), numbers(0))
      assert.deepStrictEqual(yield* committed, { 0: count })
    }).pipe(onTopic)
  )

  it.scoped("may be left by a seek to another of its offsets", () =>
    Effect.gen(function* () {
      yield* append
      const calls = makeCalls()
      const gate = yield* Deferred.make<void>()
      const consumer = yield* KafkaConsumer.make({
        ...options,
        handler: calls.handler(({ offset }) => (offset === 5 ? Deferred.await(gate) : Effect.void))
      })
      yield* TestClock.adjust("2 seconds")
      const sought = yield* Effect.fork(consumer.seek(Position.offset(15_000)))
      yield* TestClock.adjust("1 second")
      yield* Deferred.succeed(gate, undefined)
      yield* TestClock.adjust("5 seconds")
      yield* sought
      assert.deepStrictEqual(calls.values(), [...numbers(0, 6), ...numbers(15_000)])
      assert.deepStrictEqual(yield* committed, { 0: count })
    }).pipe(onTopic)
  )

  it.scoped(
    "is handled up to its malformed record, where the consumer fails with a typed error or skips the rest",
    () =>
      Effect.gen(function* () {
        yield* append
        const broker = yield* MemoryBroker
        yield* broker.produce(topic, [{ value: "next" }])
        const bytes = malformed()
        const wire = answering(broker.wire, (answer) => {
          const following = answer.records.subarray(batch.length)
          const isFirst = answer.records.length >= batch.length
          return isFirst ? { ...answer, records: new Uint8Array(Buffer.concat([bytes, following])) } : answer
        })
        const calls = makeCalls()
        const consume = (corruptBatch: "fail" | "skip") =>
          Effect.provideService(
            KafkaConsumer.make({ ...options, corruptBatch, handler: calls.handler(() => Effect.void) }),
            Wire,
            wire
          )
        const failed = yield* consume("fail")
        yield* TestClock.adjust("1 minute")
        const error = yield* Effect.flip(failed.wait)
        assert.strictEqual(error.reason, "CorruptBatch")
        assert.include(error.message, `record ${malformedAt} of ${count} has fields that don't fit`)
        assert.deepStrictEqual(calls.values(), numbers(0, malformedAt))
        assert.deepStrictEqual(yield* committed, { 0: malformedAt })
        yield* consume("skip")
        yield* TestClock.adjust("10 seconds")
        assert.deepStrictEqual(calls.values(), [...numbers(0, malformedAt), "next"])
      }).pipe(onTopic)
  )
})
