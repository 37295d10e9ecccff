/**
 * Batches with producer ids, epochs and sequences (KIP-98, KIP-360).
 */
import { assert } from "@effect/vitest"
import { KafkaErrorCode } from "@spillway/kafka/KafkaErrorCode"
import { latestTimestamp } from "@spillway/kafka/Protocol"
import * as RecordBatch from "@spillway/kafka/RecordBatch"
import * as Headers from "@spillway/transport/Headers"
import * as Effect from "effect/Effect"
import { createTopic, eventually, openSession, type Session, type Suite } from "./harness.js"

/** A producer id that no producer has had before. */
const identify = ({ data }: Session) =>
  eventually(
    data.request("InitProducerId", { transactionalId: null, transactionTimeoutMs: 60_000 }),
    ({ errorCode }) => errorCode === KafkaErrorCode.NONE
  )

const batch = (producerId: bigint, producerEpoch: number, baseSequence: number, records = 2): Uint8Array =>
  RecordBatch.encode(
    Array.from({ length: records }, () => ({ key: null, value: null, headers: Headers.empty, timestamp: 1_000 })),
    { producerId, producerEpoch, baseSequence }
  )

const write = ({ data }: Session, topic: string, records: Uint8Array, partition = 0) =>
  Effect.map(
    data.request("Produce", {
      transactionalId: null,
      acks: -1,
      timeoutMs: 10_000,
      topics: [{ topic, partitions: [{ partition, records }] }]
    }),
    ({ topics }) => {
      const { baseOffset, errorCode } = topics[0]!.partitions[0]!
      return errorCode === KafkaErrorCode.NONE ? baseOffset : { errorCode }
    }
  )

const endOffset = ({ data }: Session, topic: string) =>
  Effect.map(
    data.request("ListOffsets", { topics: [{ topic, partitions: [{ partition: 0, timestamp: latestTimestamp }] }] }),
    ({ topics }) => topics[0]!.partitions[0]!.offset
  )

const outOfOrder = { errorCode: KafkaErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER }

export const idempotence = ({ test }: Suite): void => {
  test("gives every producer an id of its own", (harness) =>
    Effect.gen(function* () {
      const session = yield* openSession(harness)
      const first = yield* identify(session)
      const second = yield* identify(session)
      assert.isTrue(first.producerId >= 0n)
      assert.notStrictEqual(first.producerId, second.producerId)
      assert.deepStrictEqual([first.producerEpoch, second.producerEpoch], [0, 0])
    }))

  test("writes a batch once, and answers a copy of the last five with the offset of the first", (harness) =>
    Effect.gen(function* () {
      const session = yield* openSession(harness)
      const topic = yield* createTopic(harness, session, 2)
      const { producerId } = yield* identify(session)
      for (let i = 0; i < 6; i++) assert.strictEqual(yield* write(session, topic, batch(producerId, 0, i * 2)), i * 2)
      for (let i = 1; i < 6; i++) assert.strictEqual(yield* write(session, topic, batch(producerId, 0, i * 2)), i * 2)
      assert.strictEqual(yield* endOffset(session, topic), 12)
      // Each partition has its own sequences.
      assert.strictEqual(yield* write(session, topic, batch(producerId, 0, 0), 1), 0)
    }))

  test("refuses a batch that doesn't follow", (harness) =>
    Effect.gen(function* () {
      const session = yield* openSession(harness)
      const topic = yield* createTopic(harness, session)
      const { producerId } = yield* identify(session)
      assert.strictEqual(yield* write(session, topic, batch(producerId, 0, 0)), 0)
      assert.deepStrictEqual(yield* write(session, topic, batch(producerId, 0, 4)), outOfOrder)
      assert.deepStrictEqual(yield* write(session, topic, batch(producerId, 0, 1)), outOfOrder)
      assert.deepStrictEqual(yield* write(session, topic, batch(producerId, 0, 0, 3)), outOfOrder)
      assert.strictEqual(yield* write(session, topic, batch(producerId, 0, 2)), 2)
      assert.strictEqual(yield* endOffset(session, topic), 4)
    }))

  test("starts again with a higher epoch, and refuses lower ones", (harness) =>
    Effect.gen(function* () {
      const session = yield* openSession(harness)
      const topic = yield* createTopic(harness, session)
      const { producerId } = yield* identify(session)
      assert.strictEqual(yield* write(session, topic, batch(producerId, 0, 0)), 0)
      assert.deepStrictEqual(yield* write(session, topic, batch(producerId, 1, 2)), outOfOrder)
      assert.strictEqual(yield* write(session, topic, batch(producerId, 1, 0)), 2)
      // The same batch under the new epoch is a new batch.
      assert.deepStrictEqual(yield* write(session, topic, batch(producerId, 0, 0)), {
        errorCode: KafkaErrorCode.INVALID_PRODUCER_EPOCH
      })
      assert.strictEqual(yield* endOffset(session, topic), 4)
    }))

  test("takes any sequence of a producer that the partition doesn't know", (harness) =>
    Effect.gen(function* () {
      const session = yield* openSession(harness)
      const topic = yield* createTopic(harness, session)
      const { producerId } = yield* identify(session)
      assert.strictEqual(yield* write(session, topic, batch(producerId, 3, 7)), 0)
      assert.strictEqual(yield* write(session, topic, batch(producerId, 3, 9)), 2)
    }))

  test("counts sequences on from 0 after the last int32", (harness) =>
    Effect.gen(function* () {
      const session = yield* openSession(harness)
      const topic = yield* createTopic(harness, session)
      const { producerId } = yield* identify(session)
      assert.strictEqual(yield* write(session, topic, batch(producerId, 0, 0x7ffffffe, 3)), 0)
      assert.deepStrictEqual(yield* write(session, topic, batch(producerId, 0, 0)), outOfOrder)
      assert.strictEqual(yield* write(session, topic, batch(producerId, 0, 1)), 3)
      assert.strictEqual(yield* write(session, topic, batch(producerId, 0, 0x7ffffffe, 3)), 0)
    }))
}
