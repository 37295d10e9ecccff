/**
 * Transactions of records and of offsets, and the fencing of zombies (KIP-98, KIP-360, KIP-447).
 */
import { assert } from "@effect/vitest"
import { KafkaErrorCode } from "@spillway/kafka/KafkaErrorCode"
import { type InitProducerIdRequest, type IsolationLevel, latestTimestamp } from "@spillway/kafka/Protocol"
import * as RecordBatch from "@spillway/kafka/RecordBatch"
import type { Connection } from "@spillway/kafka/Wire"
import * as Headers from "@spillway/transport/Headers"
import * as Effect from "effect/Effect"
import {
  createTopic,
  eventually,
  gather,
  type Harness,
  member,
  openSession,
  type Session,
  type Suite
} from "./harness.js"

const {
  CONCURRENT_TRANSACTIONS,
  ILLEGAL_GENERATION,
  INVALID_PRODUCER_EPOCH,
  INVALID_PRODUCER_ID_MAPPING,
  INVALID_REQUEST,
  INVALID_TRANSACTION_TIMEOUT,
  INVALID_TXN_STATE,
  NONE,
  OPERATION_NOT_ATTEMPTED,
  PRODUCER_FENCED,
  UNKNOWN_MEMBER_ID,
  UNKNOWN_TOPIC_OR_PARTITION,
  UNSTABLE_OFFSET_COMMIT
} = KafkaErrorCode

/** Repeats the request while the end of the previous transaction is being written. */
const settled = <A extends { readonly errorCode: number }, E, R>(ask: Effect.Effect<A, E, R>) =>
  eventually(ask, ({ errorCode }) => errorCode !== CONCURRENT_TRANSACTIONS)

/** A producer that the tests drive: one request at a time, its sequences counted. */
const producer = (session: Session, transactionalId: string, transactionTimeoutMs = 60_000) =>
  Effect.gen(function* () {
    const bootstrap = yield* session.client.wire.connect(session.client.wire.bootstrap[0]!, "group")
    const { coordinator } = yield* eventually(
      bootstrap.request("FindCoordinator", { key: transactionalId, keyType: "transaction" }),
      ({ errorCode }) => errorCode === NONE
    )
    const connection: Connection = yield* session.client.wire.connect(coordinator, "group")
    const initOnce = (overrides: Partial<InitProducerIdRequest> = {}) =>
      connection.request("InitProducerId", { transactionalId, transactionTimeoutMs, ...overrides })
    const loading: ReadonlyArray<number> = [
      KafkaErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
      KafkaErrorCode.COORDINATOR_NOT_AVAILABLE,
      KafkaErrorCode.NOT_COORDINATOR
    ]
    let identity = yield* eventually(settled(initOnce()), ({ errorCode }) => !loading.includes(errorCode))
    const sequences = new Map<string, number>()
    const id = () => ({ transactionalId, producerId: identity.producerId, producerEpoch: identity.producerEpoch })

    const addPartitions = (topic: string, partitions: ReadonlyArray<number> = [0]) =>
      Effect.map(
        Effect.suspend(() => connection.request("AddPartitionsToTxn", { ...id(), topics: [{ topic, partitions }] })),
        ({ topics }) => topics.flatMap(({ partitions }) => partitions.map(({ errorCode }) => errorCode))
      )

    return {
      id,
      initOnce,
      init: (overrides?: Partial<InitProducerIdRequest>) =>
        Effect.tap(settled(initOnce(overrides)), (answer) => {
          if (answer.errorCode !== NONE) return
          identity = answer
          sequences.clear()
        }),
      addPartitions,
      add: (topic: string, partitions?: ReadonlyArray<number>) =>
        eventually(addPartitions(topic, partitions), ([errorCode]) => errorCode !== CONCURRENT_TRANSACTIONS),
      write: (topic: string, value: string, partition = 0, isTransactional = true) =>
        Effect.suspend(() => {
          const { producerEpoch, producerId } = id()
          const baseSequence = sequences.get(`${topic}-${partition}`) ?? 0
          const records = RecordBatch.encode(
            [{ key: null, value: Buffer.from(value), headers: Headers.empty, timestamp: 1_000 }],
            { producerId, producerEpoch, baseSequence, isTransactional }
          )
          const request = {
            transactionalId,
            acks: -1 as const,
            timeoutMs: 10_000,
            topics: [{ topic, partitions: [{ partition, records }] }]
          }
          return Effect.map(session.data.request("Produce", request), ({ topics }) => {
            const { baseOffset, errorCode } = topics[0]!.partitions[0]!
            if (errorCode !== NONE) return { errorCode }
            sequences.set(`${topic}-${partition}`, baseSequence + 1)
            return baseOffset
          })
        }),
      addOffsets: (groupId: string) =>
        settled(Effect.suspend(() => connection.request("AddOffsetsToTxn", { ...id(), groupId }))),
      end: (committed: boolean) =>
        Effect.map(
          settled(Effect.suspend(() => connection.request("EndTxn", { ...id(), committed }))),
          ({ errorCode }) => errorCode
        )
    }
  })

/** One answer to a Fetch. */
const fetchOnce = ({ fetch }: Session, topic: string, isolationLevel: IsolationLevel, fetchOffset = 0) =>
  Effect.map(
    fetch.request("Fetch", {
      maxWaitMs: 0,
      minBytes: 1,
      maxBytes: 1_000_000,
      isolationLevel,
      rackId: "",
      topics: [{ topic, partitions: [{ partition: 0, currentLeaderEpoch: -1, fetchOffset, maxBytes: 1_000_000 }] }]
    }),
    ({ topics }) => topics[0]!.partitions[0]!
  )

/** All readable records, in as many responses as the broker chooses. */
const values = (session: Session, topic: string, isolationLevel: IsolationLevel = "read_committed") =>
  Effect.gen(function* () {
    const read: Array<string> = []
    let fetchOffset = 0
    while (true) {
      const { abortedTransactions, records } = yield* fetchOnce(session, topic, isolationLevel, fetchOffset)
      const { batches } = RecordBatch.decode(records, { abortedTransactions })
      if (batches.length === 0) return read
      for (const batch of batches) read.push(...batch.records.map(({ value }) => Buffer.from(value!).toString()))
      fetchOffset = batches.at(-1)!.nextOffset
    }
  })

/** Waits until the end of every transaction is written. */
const stable = (session: Session, topic: string) =>
  eventually(
    fetchOnce(session, topic, "read_committed"),
    ({ highWatermark, lastStableOffset }) => highWatermark === lastStableOffset
  )

/** Reads committed once every transaction has ended. */
const committed = (session: Session, topic: string) => Effect.zipRight(stable(session, topic), values(session, topic))

const latest = ({ data }: Session, topic: string, isolationLevel: IsolationLevel) =>
  Effect.map(
    data.request("ListOffsets", {
      isolationLevel,
      topics: [{ topic, partitions: [{ partition: 0, timestamp: latestTimestamp }] }]
    }),
    ({ topics }) => topics[0]!.partitions[0]!.offset
  )

export const transactions = ({ test }: Suite): void => {
  const arrange = (harness: Harness, partitions = 1) =>
    Effect.gen(function* () {
      const session = yield* openSession(harness)
      const topic = yield* createTopic(harness, session, partitions)
      return { session, topic, transactional: yield* producer(session, harness.unique("tx")) }
    })

  test("make their records visible when they are committed, all at once", (harness) =>
    Effect.gen(function* () {
      const { session, topic, transactional } = yield* arrange(harness, 2)
      assert.deepStrictEqual(yield* transactional.add(topic, [0, 1]), [NONE, NONE])
      assert.strictEqual(yield* transactional.write(topic, "a"), 0)
      assert.strictEqual(yield* transactional.write(topic, "b"), 1)
      assert.strictEqual(yield* transactional.write(topic, "c", 1), 0)
      assert.deepStrictEqual(yield* values(session, topic), [])
      assert.deepStrictEqual(yield* values(session, topic, "read_uncommitted"), ["a", "b"])
      assert.strictEqual(yield* transactional.end(true), NONE)
      yield* stable(session, topic)
      assert.deepStrictEqual(yield* values(session, topic), ["a", "b"])
      // The marker takes an offset.
      assert.strictEqual(yield* latest(session, topic, "read_uncommitted"), 3)
    }))

  test("hide their records when they are aborted", (harness) =>
    Effect.gen(function* () {
      const { session, topic, transactional } = yield* arrange(harness)
      yield* transactional.add(topic)
      yield* transactional.write(topic, "a")
      yield* transactional.write(topic, "b")
      assert.strictEqual(yield* transactional.end(false), NONE)
      yield* stable(session, topic)
      yield* transactional.add(topic)
      yield* transactional.write(topic, "c")
      yield* transactional.end(true)
      assert.deepStrictEqual(yield* committed(session, topic), ["c"])
      const { producerId } = transactional.id()
      const aborted = (offset: number) =>
        Effect.map(fetchOnce(session, topic, "read_committed", offset), (answer) => answer.abortedTransactions)
      assert.deepStrictEqual(yield* aborted(0), [{ producerId, firstOffset: 0 }])
      assert.deepStrictEqual(yield* values(session, topic, "read_uncommitted"), ["a", "b", "c"])
      // The response to a fetch behind the aborted transaction no longer lists it.
      assert.deepStrictEqual(yield* aborted(3), [])
    }))

  test("stop a read-committed consumer at the first open one", (harness) =>
    Effect.gen(function* () {
      const { session, topic, transactional: one } = yield* arrange(harness)
      const two = yield* producer(session, harness.unique("tx"))
      yield* one.add(topic)
      yield* two.add(topic)
      yield* one.write(topic, "a")
      yield* two.write(topic, "b")
      yield* two.end(true)
      yield* eventually(latest(session, topic, "read_uncommitted"), (offset) => offset === 3)
      assert.deepStrictEqual(yield* values(session, topic), [])
      const { highWatermark, lastStableOffset } = yield* fetchOnce(session, topic, "read_committed")
      assert.deepStrictEqual([lastStableOffset, highWatermark], [0, 3])
      assert.strictEqual(yield* latest(session, topic, "read_committed"), 0)
      yield* one.end(false)
      assert.deepStrictEqual(yield* committed(session, topic), ["b"])
      assert.strictEqual(yield* latest(session, topic, "read_committed"), 4)
    }))

  test("fence the earlier producer, and abort its open transaction", (harness) =>
    Effect.gen(function* () {
      const { session, topic, transactional: zombie } = yield* arrange(harness)
      yield* zombie.add(topic)
      yield* zombie.write(topic, "zombie")
      const { transactionalId } = zombie.id()
      const successor = yield* producer(session, transactionalId)
      assert.strictEqual(successor.id().producerId, zombie.id().producerId)
      assert.isAbove(successor.id().producerEpoch, zombie.id().producerEpoch)
      yield* successor.add(topic)
      yield* successor.write(topic, "successor")
      assert.deepStrictEqual(yield* zombie.write(topic, "late"), { errorCode: INVALID_PRODUCER_EPOCH })
      assert.deepStrictEqual(yield* zombie.add(topic), [PRODUCER_FENCED])
      assert.strictEqual((yield* zombie.addOffsets(harness.unique("group"))).errorCode, PRODUCER_FENCED)
      assert.strictEqual(yield* zombie.end(true), PRODUCER_FENCED)
      assert.strictEqual(yield* successor.end(true), NONE)
      assert.deepStrictEqual(yield* committed(session, topic), ["successor"])
      const { producerEpoch, producerId } = zombie.id()
      assert.strictEqual((yield* zombie.init({ producerId, producerEpoch })).errorCode, PRODUCER_FENCED)
    }))

  test("give their producer the next epoch when it asks, and again when the answer is lost", (harness) =>
    Effect.gen(function* () {
      const { session, topic, transactional } = yield* arrange(harness)
      const before = transactional.id()
      yield* transactional.add(topic)
      yield* transactional.write(topic, "a")
      const known = { producerId: before.producerId, producerEpoch: before.producerEpoch }
      // The open transaction is aborted.
      const next = yield* transactional.init(known)
      assert.deepStrictEqual([next.errorCode, next.producerEpoch], [NONE, before.producerEpoch + 1])
      const again = yield* transactional.init(known)
      assert.deepStrictEqual([again.errorCode, again.producerEpoch], [NONE, before.producerEpoch + 1])
      yield* transactional.add(topic)
      // Sequences start again with the epoch.
      assert.strictEqual(yield* transactional.write(topic, "b"), 2)
      yield* transactional.end(true)
      assert.deepStrictEqual(yield* committed(session, topic), ["b"])
    }))

  test("refuse records in partitions that weren't added", (harness) =>
    Effect.gen(function* () {
      const { session, topic, transactional } = yield* arrange(harness, 2)
      assert.deepStrictEqual(yield* transactional.write(topic, "a"), { errorCode: INVALID_TXN_STATE })
      yield* transactional.add(topic)
      assert.deepStrictEqual(yield* transactional.write(topic, "a", 1), { errorCode: INVALID_TXN_STATE })
      assert.strictEqual(yield* transactional.write(topic, "a"), 0)
      yield* transactional.end(true)
      yield* stable(session, topic)
      assert.deepStrictEqual(yield* transactional.write(topic, "late"), { errorCode: INVALID_TXN_STATE })
      assert.strictEqual(yield* latest(session, topic, "read_uncommitted"), 2)
    }))

  test("refuse non-transactional records of their producer", (harness) =>
    Effect.gen(function* () {
      const { topic, transactional } = yield* arrange(harness)
      yield* transactional.add(topic)
      assert.strictEqual(yield* transactional.write(topic, "a"), 0)
      assert.deepStrictEqual(yield* transactional.write(topic, "b", 0, false), { errorCode: INVALID_TXN_STATE })
      assert.strictEqual(yield* transactional.end(true), NONE)
    }))

  test("add all partitions or none", (harness) =>
    Effect.gen(function* () {
      const { topic, transactional } = yield* arrange(harness)
      assert.sameMembers(
        [...(yield* transactional.add(topic, [0, 7]))],
        [OPERATION_NOT_ATTEMPTED, UNKNOWN_TOPIC_OR_PARTITION]
      )
      assert.deepStrictEqual(yield* transactional.write(topic, "a"), { errorCode: INVALID_TXN_STATE })
      assert.strictEqual(yield* transactional.end(true), INVALID_TXN_STATE)
    }))

  test("end once, by commit or abort", (harness) =>
    Effect.gen(function* () {
      const { topic, transactional } = yield* arrange(harness)
      assert.strictEqual(yield* transactional.end(true), INVALID_TXN_STATE)
      assert.strictEqual(yield* transactional.end(false), INVALID_TXN_STATE)
      yield* transactional.add(topic)
      assert.strictEqual(yield* transactional.end(true), NONE)
      assert.strictEqual(yield* transactional.end(true), NONE)
      assert.strictEqual(yield* transactional.end(false), INVALID_TXN_STATE)
      yield* transactional.add(topic)
      assert.strictEqual(yield* transactional.end(false), NONE)
      assert.strictEqual(yield* transactional.end(false), NONE)
      assert.strictEqual(yield* transactional.end(true), INVALID_TXN_STATE)
    }))

  test("belong to one transactional id and its producer", (harness) =>
    Effect.gen(function* () {
      const { session, topic, transactional } = yield* arrange(harness)
      const other = yield* producer(session, harness.unique("tx"))
      const { data } = session
      assert.notStrictEqual(other.id().producerId, transactional.id().producerId)
      const { producerEpoch, producerId, transactionalId } = transactional.id()
      const group = yield* session.client.wire.connect(
        (yield* data.request("FindCoordinator", { key: transactionalId, keyType: "transaction" })).coordinator,
        "group"
      )
      const mixed = { transactionalId, producerId: other.id().producerId, producerEpoch }
      assert.strictEqual(
        (yield* group.request("EndTxn", { ...mixed, committed: true })).errorCode,
        INVALID_PRODUCER_ID_MAPPING
      )
      const added = yield* group.request("AddPartitionsToTxn", { ...mixed, topics: [{ topic, partitions: [0] }] })
      assert.strictEqual(added.topics[0]?.partitions[0]?.errorCode, INVALID_PRODUCER_ID_MAPPING)
      const none = yield* group.request("InitProducerId", { transactionalId: "", transactionTimeoutMs: 60_000 })
      assert.strictEqual(none.errorCode, INVALID_REQUEST)
      assert.isTrue(producerId >= 0n)
    }))

  test("have a limited timeout", (harness) =>
    Effect.gen(function* () {
      const { transactional } = yield* arrange(harness)
      for (const transactionTimeoutMs of [0, 15 * 60_000 + 1]) {
        const { errorCode } = yield* transactional.initOnce({ transactionTimeoutMs })
        assert.strictEqual(errorCode, INVALID_TRANSACTION_TIMEOUT)
      }
    }))

  test("are aborted by the coordinator when they time out; their producer may continue", (harness) =>
    Effect.gen(function* () {
      const { session, topic, transactional: other } = yield* arrange(harness)
      const slow = yield* producer(session, harness.unique("tx"), 100)
      yield* slow.add(topic)
      yield* slow.write(topic, "slow")
      yield* harness.elapse("100 millis")
      yield* other.add(topic)
      yield* other.write(topic, "other")
      yield* other.end(true)
      assert.deepStrictEqual(yield* committed(session, topic), ["other"])
      assert.strictEqual(yield* slow.end(true), PRODUCER_FENCED)
      const { producerEpoch, producerId } = slow.id()
      assert.strictEqual((yield* slow.init({ producerId, producerEpoch })).errorCode, NONE)
      yield* slow.add(topic)
      yield* slow.write(topic, "again")
      assert.strictEqual(yield* slow.end(true), NONE)
      assert.deepStrictEqual(yield* committed(session, topic), ["other", "again"])
    }))

  const inGroup = (harness: Harness) =>
    Effect.gen(function* () {
      const arranged = yield* arrange(harness)
      const groupId = harness.unique("group")
      const one = yield* member(harness, groupId)
      const [joined] = yield* gather([], 0, [one])
      const generationId = joined!.generationId
      yield* one.sync(generationId, { [one.id()]: 1 })
      const { topic, transactional } = arranged
      return {
        ...arranged,
        groupId,
        member: one,
        generationId,
        commit: (offset: number, overrides: { readonly generationId?: number; readonly memberId?: string } = {}) =>
          Effect.map(
            one.connection.request("TxnOffsetCommit", {
              ...transactional.id(),
              groupId,
              generationId,
              memberId: one.id(),
              groupInstanceId: null,
              topics: [{ topic, partitions: [{ partition: 0, offset, leaderEpoch: 3, metadata: "mine" }] }],
              ...overrides
            }),
            ({ topics }) => topics[0]?.partitions[0]?.errorCode
          ),
        offset: (requireStable: boolean) =>
          Effect.map(
            one.connection.request("OffsetFetch", { groupId, requireStable, topics: [{ topic, partitions: [0] }] }),
            ({ topics }) => {
              const { errorCode, leaderEpoch, metadata, offset } = topics[0]!.partitions[0]!
              return errorCode === NONE ? [offset, leaderEpoch, metadata] : { errorCode }
            }
          )
      }
    })

  const unstable = { errorCode: UNSTABLE_OFFSET_COMMIT }

  test("commit a group's offsets with their records, which aren't stable until then", (harness) =>
    Effect.gen(function* () {
      const { commit, generationId, groupId, member, offset, topic, transactional } = yield* inGroup(harness)
      assert.strictEqual(yield* member.commit(generationId, topic, 5), NONE)
      assert.strictEqual((yield* transactional.addOffsets(groupId)).errorCode, NONE)
      assert.strictEqual(yield* commit(9), NONE)
      assert.deepStrictEqual(yield* offset(false), [5, -1, ""])
      assert.deepStrictEqual(yield* offset(true), unstable)
      assert.strictEqual(yield* transactional.end(true), NONE)
      yield* eventually(offset(true), Array.isArray)
      assert.deepStrictEqual(yield* offset(true), [9, 3, "mine"])
    }))

  test("leave a group's offsets unchanged when they are aborted", (harness) =>
    Effect.gen(function* () {
      const { commit, groupId, offset, transactional } = yield* inGroup(harness)
      yield* transactional.addOffsets(groupId)
      yield* commit(9)
      assert.deepStrictEqual(yield* offset(true), unstable)
      assert.strictEqual(yield* transactional.end(false), NONE)
      yield* eventually(offset(true), Array.isArray)
      assert.deepStrictEqual(yield* offset(true), [-1, -1, ""])
    }))

  test("refuse offsets of a stale or unknown member, but accept them without membership", (harness) =>
    Effect.gen(function* () {
      const { commit, generationId, groupId, transactional } = yield* inGroup(harness)
      yield* transactional.addOffsets(groupId)
      assert.strictEqual(yield* commit(9, { generationId: generationId + 1 }), ILLEGAL_GENERATION)
      assert.strictEqual(yield* commit(9, { memberId: "unknown" }), UNKNOWN_MEMBER_ID)
      assert.strictEqual(yield* commit(9, { generationId: -1, memberId: "" }), NONE)
      assert.strictEqual(yield* transactional.end(true), NONE)
    }))

  test("refuse offsets of a group that wasn't added, and those of a fenced producer", (harness) =>
    Effect.gen(function* () {
      const { commit, groupId, session, transactional } = yield* inGroup(harness)
      assert.strictEqual(yield* commit(9), INVALID_TXN_STATE)
      yield* transactional.addOffsets(groupId)
      yield* producer(session, transactional.id().transactionalId)
      assert.include([INVALID_PRODUCER_EPOCH, INVALID_TXN_STATE], yield* commit(9))
    }))
}
