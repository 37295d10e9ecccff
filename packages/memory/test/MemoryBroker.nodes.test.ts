import { assert, describe, it } from "@effect/vitest"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import { KafkaErrorCode } from "@spillway/kafka/KafkaErrorCode"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import { type Api, latestTimestamp, type Request } from "@spillway/kafka/Protocol"
import { type Role, Wire } from "@spillway/kafka/Wire"
import * as MemoryBroker from "@spillway/memory/MemoryBroker"
import * as Codec from "@spillway/transport/Codec"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import { Producer } from "@spillway/transport/Producer"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as TestClock from "effect/TestClock"

const ask = <A extends Api>(wire: Context.Tag.Service<Wire>, nodeId: number, role: Role, api: A, request: Request<A>) =>
  Effect.scoped(
    Effect.flatMap(wire.connect({ host: "memory", port: 9091 + nodeId }, role), (connection) =>
      connection.request(api, request)
    )
  )

const fetchOf = (partition: number, fetchOffset = 0): Request<"Fetch"> => ({
  maxWaitMs: 0,
  minBytes: 1,
  maxBytes: 1_000_000,
  isolationLevel: "read_uncommitted",
  rackId: "",
  topics: [{ topic: "orders", partitions: [{ partition, currentLeaderEpoch: -1, fetchOffset, maxBytes: 1_000_000 }] }]
})

describe("MemoryBroker: nodes", () => {
  it.scoped("spreads leaders over its nodes; only the leader serves a partition", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.make({ nodes: 3, topics: { orders: 3 } })
      const { brokers, topics } = yield* ask(broker.wire, 2, "data", "Metadata", { topics: ["orders"] })
      assert.deepStrictEqual(
        brokers.map(({ nodeId }) => nodeId),
        [1, 2, 3]
      )
      assert.deepStrictEqual(
        topics[0]!.partitions.map(({ leader }) => leader),
        [1, 2, 3]
      )
      const codeFrom = (nodeId: number) =>
        Effect.map(
          ask(broker.wire, nodeId, "fetch", "Fetch", fetchOf(1)),
          ({ topics }) => topics[0]!.partitions[0]!.errorCode
        )
      assert.strictEqual(yield* codeFrom(2), KafkaErrorCode.NONE)
      assert.strictEqual(yield* codeFrom(1), KafkaErrorCode.NOT_LEADER_OR_FOLLOWER)
      yield* broker.moveLeader("orders", 1, 1)
      assert.strictEqual(yield* codeFrom(1), KafkaErrorCode.NONE)
      assert.strictEqual(yield* codeFrom(2), KafkaErrorCode.NOT_LEADER_OR_FOLLOWER)
    })
  )

  it.scoped(
    "a transaction that ends while its partitions have no leader gets one marker in each when they have one",
    () =>
      Effect.gen(function* () {
        const broker = yield* MemoryBroker.make({ topics: { orders: 2 } })
        const toNode = <A extends Api>(api: A, request: Request<A>) => ask(broker.wire, 1, "data", api, request)
        const transactionalId = "billing"
        const given = yield* toNode("InitProducerId", { transactionalId, transactionTimeoutMs: 1_000 })
        const topics = [{ topic: "orders", partitions: [0, 1] }]
        yield* toNode("AddPartitionsToTxn", { ...given, transactionalId, topics })
        yield* broker.stopNode(1)
        yield* TestClock.adjust("1 second")
        yield* broker.startNode(1)
        const ends = yield* Effect.forEach([0, 1], (partition) =>
          toNode("ListOffsets", {
            isolationLevel: "read_uncommitted",
            topics: [{ topic: "orders", partitions: [{ partition, timestamp: latestTimestamp }] }]
          })
        )
        assert.deepStrictEqual(
          ends.map(({ topics }) => topics[0]!.partitions[0]!.offset),
          [1, 1]
        )
      })
  )

  it.scoped("loses the tail that only a killed leader had, but no record acknowledged by all replicas", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.make({ nodes: 3, topics: { orders: 1 }, replicationDelay: "1 second" })
      yield* broker.produce("orders", [{ value: "all" }])
      yield* broker.produce("orders", [{ value: "leader" }], { acks: "leader" })
      const before = yield* ask(broker.wire, 1, "fetch", "Fetch", fetchOf(0))
      assert.strictEqual(before.topics[0]!.partitions[0]!.highWatermark, 1)
      yield* broker.stopNode(1, { tail: "lost" })
      assert.strictEqual(yield* broker.leader("orders", 0), 2)
      assert.lengthOf(yield* broker.records("orders"), 1)
      yield* broker.produce("orders", [{ value: "again" }], { acks: "leader" })
      yield* TestClock.adjust("1 second")
      const after = yield* ask(broker.wire, 2, "fetch", "Fetch", fetchOf(0))
      assert.strictEqual(after.topics[0]!.partitions[0]!.highWatermark, 2)
      yield* broker.startNode(1)
      assert.strictEqual(yield* broker.leader("orders", 0), 2)
    })
  )

  it.scoped("a failed node still leads and coordinates until the others notice", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.make({ nodes: 2, topics: { orders: 1 } })
      assert.strictEqual(yield* broker.coordinator("billing"), 1)
      yield* broker.stopNode(1, { electAfter: "5 seconds" })
      assert.strictEqual(yield* broker.leader("orders", 0), 1)
      assert.strictEqual(
        (yield* Effect.flip(ask(broker.wire, 1, "fetch", "Fetch", fetchOf(0)))).reason,
        "ConnectFailed"
      )
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* broker.leader("orders", 0), 2)
      assert.strictEqual(yield* broker.coordinator("billing"), 2)
      yield* broker.stopNode(2)
      assert.strictEqual(yield* broker.leader("orders", 0), -1)
      yield* broker.startNode(1)
      assert.strictEqual(yield* broker.leader("orders", 0), 1)
    })
  )

  it.scoped("a consumer follows its coordinator and its leaders, and handles every record once", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.make({ nodes: 3, topics: { orders: 3 } })
      const handled: Array<string> = []
      const producer = yield* KafkaProducer.make().pipe(Effect.provideService(Wire, broker.wire))
      const send = (value: string, partition: number) =>
        producer.send({ topic: "orders", partition, key: null, value: new TextEncoder().encode(value), headers: [] })
      const starting = yield* Effect.fork(
        KafkaConsumer.make({
          groupId: "billing",
          topics: ["orders"],
          value: Codec.text,
          handler: ({ value }) => Effect.sync(() => handled.push(value)),
          deadLetter: DeadLetter.none("stop")
        }).pipe(Effect.provideService(Wire, broker.wire), Effect.provideService(Producer, producer))
      )
      yield* TestClock.adjust("1 second")
      const consumer = yield* Fiber.join(starting)
      yield* Effect.forEach([0, 1, 2], (partition) => Effect.fork(send(`a${partition}`, partition)))
      yield* TestClock.adjust("1 second")
      yield* broker.stopNode(yield* broker.coordinator("billing"), { electAfter: "2 seconds" })
      yield* Effect.forEach([0, 1, 2], (partition) => Effect.fork(send(`b${partition}`, partition)))
      yield* TestClock.adjust("20 seconds")
      yield* broker.moveCoordinator("billing", 3)
      yield* Effect.forEach([0, 1, 2], (partition) => broker.moveLeader("orders", partition, 3))
      yield* Effect.forEach([0, 1, 2], (partition) => Effect.fork(send(`c${partition}`, partition)))
      yield* TestClock.adjust("20 seconds")
      const closing = yield* Effect.fork(consumer.close)
      yield* TestClock.adjust("10 seconds")
      const report = yield* Fiber.join(closing)
      assert.deepStrictEqual([...handled].sort(), ["a0", "a1", "a2", "b0", "b1", "b2", "c0", "c1", "c2"])
      assert.deepStrictEqual(
        report.committed.map(({ offset }) => offset),
        [3, 3, 3]
      )
    }).pipe(Effect.provide(Logger.remove(Logger.defaultLogger)))
  )
})
