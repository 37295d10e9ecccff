import { assert, describe, it } from "@effect/vitest"
import { KafkaErrorCode } from "@spillway/kafka/KafkaErrorCode"
import { Wire } from "@spillway/kafka/Wire"
import * as MemoryBroker from "@spillway/memory/MemoryBroker"
import * as Headers from "@spillway/transport/Headers"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import { gather, type HarnessClient, hearsOfRebalance, member, stablePair } from "./conformance/harness.js"
import { type Harness, wireConformance } from "./wireConformance.js"

type Broker = Context.Tag.Service<MemoryBroker.MemoryBroker>

const harnessOf = (
  broker: Broker,
  client: Effect.Effect<HarnessClient, unknown, Scope.Scope> = broker.client()
): Harness => {
  let names = 0
  return { client, unique: (prefix) => `${prefix}-${++names}`, elapse: TestClock.adjust }
}

wireConformance({
  name: "MemoryBroker",
  test: (name, body) => it.scoped(name, () => Effect.flatMap(MemoryBroker.make(), (broker) => body(harnessOf(broker))))
})

const text = (value: Uint8Array | null) => (value === null ? null : new TextDecoder().decode(value))

const join = (client: { readonly wire: Context.Tag.Service<Wire> }) =>
  client.wire.connect(client.wire.bootstrap[0]!, "data")

const fetchRequest = (topic: string, fetchOffset = 0) => ({
  maxWaitMs: 60_000,
  minBytes: 1,
  maxBytes: 1_000_000,
  isolationLevel: "read_uncommitted" as const,
  rackId: "",
  topics: [{ topic, partitions: [{ partition: 0, currentLeaderEpoch: -1, fetchOffset, maxBytes: 1_000_000 }] }]
})

describe("MemoryBroker: topics and records", () => {
  it.scoped("has the topics it is made with", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.make({ topics: [{ name: "a", partitions: 2 }, { name: "b" }] })
      assert.strictEqual((yield* Effect.flip(broker.createTopic("a"))).reason, "TOPIC_ALREADY_EXISTS")
      assert.strictEqual((yield* Effect.flip(broker.createTopic("a/b"))).reason, "INVALID_TOPIC_EXCEPTION")
      assert.strictEqual((yield* Effect.flip(broker.createTopic("c", 0))).reason, "INVALID_PARTITIONS")
      const landed = yield* broker.produce("a", [
        { value: "one", partition: 1 },
        { value: "two", partition: 1 }
      ])
      assert.deepStrictEqual(landed, [
        { partition: 1, offset: 0 },
        { partition: 1, offset: 1 }
      ])
      assert.strictEqual((yield* Effect.flip(broker.produce("b", [{ value: "", partition: 1 }]))).partition, 1)
      const invalid = yield* Effect.flip(MemoryBroker.make({ topics: { "": 1 } }))
      assert.include(
        invalid.message,
        "MemoryBroker: topics must be a topic that Kafka accepts (INVALID_TOPIC_EXCEPTION)"
      )
    })
  )

  it.scoped("returns records by partition and offset, with all their fields", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.make({ topics: { orders: 2 } })
      yield* TestClock.adjust(5_000)
      yield* broker.produce("orders", [
        { key: "k", value: "late", partition: 1, headers: { h: "x" } },
        { value: null, timestamp: 7, headers: Headers.make([["n", null]]) },
        { value: "first" }
      ])
      const records = yield* broker.records("orders")
      assert.deepStrictEqual(
        records.map((record) => ({
          ...record,
          key: text(record.key),
          value: text(record.value),
          headers: Headers.toText(record.headers)
        })),
        [
          { topic: "orders", partition: 0, offset: 0, timestamp: 7, key: null, value: null, headers: [["n", null]] },
          { topic: "orders", partition: 0, offset: 1, timestamp: 5_000, key: null, value: "first", headers: [] },
          { topic: "orders", partition: 1, offset: 0, timestamp: 5_000, key: "k", value: "late", headers: [["h", "x"]] }
        ]
      )
      assert.deepStrictEqual(yield* broker.records("unknown"), [])
    })
  )

  it.scoped("waits for records, even of a topic that doesn't exist yet", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.make()
      const waiting = yield* Effect.fork(broker.awaitRecords("later", 2))
      yield* Effect.yieldNow()
      yield* broker.createTopic("later", 2)
      yield* broker.produce("later", [{ value: "a" }])
      assert.isNull(waiting.unsafePoll())
      yield* broker.produce("later", [{ value: "b", partition: 1 }])
      assert.deepStrictEqual(
        (yield* Fiber.join(waiting)).map(({ value }) => text(value)),
        ["a", "b"]
      )
    })
  )

  it.scoped("forgets what retention deletes", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.make({ topics: { orders: 1 } })
      yield* broker.produce("orders", [{ value: "a" }, { value: "b" }, { value: "c" }])
      yield* broker.truncateBefore("orders", 0, 2)
      assert.deepStrictEqual(
        (yield* broker.records("orders")).map(({ offset }) => offset),
        [2]
      )
      const connection = yield* join(broker)
      const read = yield* connection.request("Fetch", fetchRequest("orders", 1))
      assert.strictEqual(read.topics[0]!.partitions[0]!.errorCode, KafkaErrorCode.OFFSET_OUT_OF_RANGE)
      const beyond = yield* Effect.flip(broker.truncateBefore("orders", 0, 4))
      assert.strictEqual(beyond.reason, "OFFSET_OUT_OF_RANGE")
    })
  )

  it.scoped("deleting a topic ends long polls on it and deletes its offsets", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.make({ topics: { orders: 1 } })
      const one = yield* member(harnessOf(broker), "group")
      yield* one.commit(-1, "orders", 3)
      assert.deepStrictEqual(yield* broker.committed("group"), [{ topic: "orders", partition: 0, offset: 3 }])
      const connection = yield* join(broker)
      const parked = yield* Effect.fork(connection.request("Fetch", fetchRequest("orders")))
      yield* TestClock.adjust(1)
      yield* broker.deleteTopic("orders")
      const { topics } = yield* Fiber.join(parked)
      assert.strictEqual(topics[0]!.partitions[0]!.errorCode, KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
      assert.deepStrictEqual(yield* broker.committed("group"), [])
      assert.strictEqual((yield* Effect.flip(broker.deleteTopic("orders"))).reason, "UNKNOWN_TOPIC_OR_PARTITION")
    })
  )
})

describe("MemoryBroker: partitions", () => {
  it.scoped("adds partitions to a topic, which then have leaders and take records", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.make({ topics: { orders: 1 }, nodes: 2 })
      yield* broker.addPartitions("orders", 3)
      assert.strictEqual(yield* broker.leader("orders", 2), 1)
      yield* broker.produce("orders", [{ value: "a", partition: 2 }])
      const records = yield* broker.records("orders")
      assert.deepStrictEqual(
        records.map(({ offset, partition }) => ({ partition, offset })),
        [{ partition: 2, offset: 0 }]
      )
      assert.strictEqual((yield* Effect.flip(broker.addPartitions("orders", 3))).reason, "INVALID_PARTITIONS")
      assert.strictEqual((yield* Effect.flip(broker.addPartitions("none", 3))).reason, "UNKNOWN_TOPIC_OR_PARTITION")
    })
  )
})

describe("MemoryBroker: groups", () => {
  it.scoped("shows and awaits a group and its offsets", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.make({ topics: { orders: 1 } })
      assert.strictEqual((yield* broker.group("group")).state, "Dead")
      const stable = yield* Effect.fork(
        broker.awaitGroup("group", ({ members, state }) => state === "Stable" && members.length === 2)
      )
      const committed = yield* Effect.fork(broker.awaitCommitted("group", "orders", 0, 5))
      const harness = harnessOf(broker, broker.client("app"))
      const leader = yield* member(harness, "group")
      const follower = yield* member(harness, "group")
      const generation = yield* stablePair(leader, follower)
      assert.deepStrictEqual(yield* Fiber.join(stable), {
        groupId: "group",
        state: "Stable",
        generation,
        protocol: "range",
        leader: "app-1",
        members: [
          { memberId: "app-1", groupInstanceId: null, assignment: Uint8Array.of(1) },
          { memberId: "app-2", groupInstanceId: null, assignment: Uint8Array.of(2) }
        ]
      })
      yield* leader.commit(generation, "orders", 4)
      yield* Effect.yieldNow()
      assert.isNull(committed.unsafePoll())
      yield* leader.commit(generation, "orders", 6)
      yield* Fiber.join(committed)
    })
  )

  it.scoped("a new group waits for more members as long as they keep joining", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.make({ initialRebalanceDelay: "3 seconds" })
      const harness = harnessOf(broker)
      const [one, two, three] = yield* Effect.replicateEffect(member(harness, "group"), 3)
      const first = yield* Effect.fork(one!.join)
      yield* TestClock.adjust("2 seconds")
      const second = yield* Effect.fork(two!.join)
      yield* TestClock.adjust("3 seconds")
      const third = yield* Effect.fork(three!.join)
      yield* TestClock.adjust("3 seconds")
      assert.isNull(first.unsafePoll())
      yield* TestClock.adjust("1 second")
      const joined = yield* Fiber.join(Fiber.all([first, second, third]))
      assert.deepStrictEqual(
        joined.map(({ generationId }) => generationId),
        [1, 1, 1]
      )
    })
  )

  it.scoped("accepts session timeouts within its settings", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.make({ minSessionTimeout: "1 second", maxSessionTimeout: "2 seconds" })
      const one = yield* member(harnessOf(broker), "group")
      const codeOf = (sessionTimeoutMs: number) =>
        Effect.map(one.joinOnce({ sessionTimeoutMs }), ({ errorCode }) => errorCode)
      assert.strictEqual(yield* codeOf(999), KafkaErrorCode.INVALID_SESSION_TIMEOUT)
      assert.strictEqual(yield* codeOf(1_000), KafkaErrorCode.MEMBER_ID_REQUIRED)
      assert.strictEqual(yield* codeOf(2_001), KafkaErrorCode.INVALID_SESSION_TIMEOUT)
    })
  )
})

describe("MemoryBroker: failures", () => {
  it.scoped("a client that is cut off can't connect until it is restored, and its session expires", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.make({ topics: { orders: 1 } })
      const client = yield* broker.client()
      const leader = yield* member(harnessOf(broker), "group", { sessionTimeoutMs: 60_000 })
      const follower = yield* member(harnessOf(broker, Effect.succeed(client)), "group", { sessionTimeoutMs: 6_000 })
      const generation = yield* stablePair(leader, follower)
      yield* client.cut
      assert.strictEqual((yield* Effect.flip(follower.heartbeat(generation))).reason, "Disconnected")
      assert.strictEqual((yield* Effect.flip(join(client))).reason, "ConnectFailed")
      yield* TestClock.adjust("5999 millis")
      assert.strictEqual(yield* leader.heartbeat(generation), KafkaErrorCode.NONE)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* leader.heartbeat(generation), KafkaErrorCode.REBALANCE_IN_PROGRESS)
      yield* client.restore
      const connection = yield* join(client)
      assert.strictEqual((yield* connection.request("Metadata", { topics: ["orders"] })).topics.length, 1)
    })
  )

  it.scoped("a broker that restarts keeps topics, offsets and generations and starts sessions again", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.make({ topics: { orders: 1 } })
      yield* broker.produce("orders", [{ value: "a" }])
      const client = yield* broker.client()
      const harness = harnessOf(broker, Effect.succeed(client))
      const leader = yield* member(harness, "group", { sessionTimeoutMs: 6_000 })
      const follower = yield* member(harness, "group", { sessionTimeoutMs: 6_000 })
      const generation = yield* stablePair(leader, follower)
      yield* leader.commit(generation, "orders", 1)
      const parked = yield* Effect.fork(Effect.flip(leader.join))
      yield* hearsOfRebalance(follower, generation)

      yield* broker.stop
      assert.strictEqual((yield* Fiber.join(parked)).reason, "Disconnected")
      assert.strictEqual((yield* leader.connection.closed).reason, "Disconnected")
      assert.strictEqual((yield* Effect.flip(join(client))).reason, "ConnectFailed")
      yield* TestClock.adjust("1 hour")
      yield* broker.start

      const { members, state } = yield* broker.group("group")
      assert.strictEqual(state, "Stable")
      assert.deepStrictEqual(
        members.map(({ memberId }) => memberId),
        [leader.id(), follower.id()]
      )
      const connection = yield* join(client)
      const heartbeat = (memberId: string) =>
        Effect.map(
          connection.request("Heartbeat", {
            groupId: "group",
            generationId: generation,
            memberId,
            groupInstanceId: null
          }),
          ({ errorCode }) => errorCode
        )
      assert.strictEqual(yield* heartbeat(leader.id()), KafkaErrorCode.NONE)
      assert.strictEqual((yield* broker.records("orders")).length, 1)
      assert.deepStrictEqual(yield* broker.committed("group"), [{ topic: "orders", partition: 0, offset: 1 }])
      yield* TestClock.adjust("6 seconds")
      assert.strictEqual((yield* broker.group("group")).state, "Empty")
    })
  )

  it.scoped("ends its connections and timers with its scope", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const broker = yield* Scope.extend(MemoryBroker.make({ topics: { orders: 1 } }), scope)
      const one = yield* member(harnessOf(broker), "group", { sessionTimeoutMs: 6_000 })
      yield* gather([], 0, [one])
      const connection = yield* join(broker)
      const parked = yield* Effect.fork(Effect.flip(connection.request("Fetch", fetchRequest("orders"))))
      yield* Effect.yieldNow()
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual((yield* Fiber.join(parked)).reason, "Disconnected")
      assert.strictEqual((yield* connection.closed).reason, "Disconnected")
      const before = yield* broker.group("group")
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(yield* broker.group("group"), before)
    })
  )

  it.scoped("a request whose caller stops waiting is still carried out, in its turn", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.make({ topics: { orders: 1 } })
      const connection = yield* join(broker)
      const parked = yield* Effect.fork(connection.request("Fetch", fetchRequest("orders")))
      yield* TestClock.adjust(1)
      yield* Fiber.interrupt(parked)
      const create = { topic: "new", partitions: 1, replicationFactor: -1, configs: [] }
      const behind = yield* Effect.fork(connection.request("CreateTopics", { timeoutMs: 1_000, topics: [create] }))
      yield* TestClock.adjust("59 seconds")
      assert.isNull(behind.unsafePoll())
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(behind)).topics[0]!.errorCode, KafkaErrorCode.NONE)
    })
  )
})

describe("MemoryBroker: layer", () => {
  it.scoped("gives the broker and a Wire to it", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.MemoryBroker
      const wire = yield* Wire
      const connection = yield* join({ wire })
      const { topics } = yield* connection.request("Metadata", { topics: null })
      assert.deepStrictEqual(
        topics.map(({ topic }) => topic),
        ["orders"]
      )
      const unknown = yield* Effect.flip(wire.connect({ host: "elsewhere", port: 1 }, "data"))
      assert.strictEqual(unknown.reason, "ConnectFailed")
      yield* broker.stop
      assert.strictEqual((yield* connection.closed).reason, "Disconnected")
    }).pipe(Effect.provide(MemoryBroker.layer({ topics: { orders: 1 } })))
  )
})
