import { assert, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { describeKafka, describeOwnKafka, makeBroker, uniqueName } from "../../../../scripts/kafka/testing.js"
import { decodeOptions } from "../../src/internal/settings/connectionSettings.js"
import { apis } from "../../src/internal/wire/apis.js"
import { openLink } from "../../src/internal/wire/socket.js"
import { KafkaErrorCode } from "../../src/KafkaErrorCode.js"
import * as KafkaJsWire from "../../src/KafkaJsWire.js"
import { type Api, earliestTimestamp, latestTimestamp, type Request, type Response } from "../../src/Protocol.js"
import * as RecordBatch from "../../src/RecordBatch.js"
import type { Connection, Role } from "../../src/Wire.js"

const connect = Effect.fnUntraced(function* (
  brokers: string,
  role: Role,
  options: Omit<KafkaJsWire.KafkaJsWireOptions, "brokers"> = {}
) {
  const wire = yield* Effect.orDie(KafkaJsWire.make({ brokers: brokers.split(","), ...options }))
  return yield* wire.connect(wire.bootstrap[0]!, role)
})

const text = (bytes: Uint8Array | null | undefined) => (bytes == null ? null : new TextDecoder().decode(bytes))
const bytes = (value: string) => new TextEncoder().encode(value)

const batch = (...values: ReadonlyArray<string>) =>
  RecordBatch.encode(values.map((value) => ({ key: null, value: bytes(value), headers: [], timestamp: 1_000 })))

/** Repeats until the condition holds: a new topic's leader and a group's coordinator take a moment to serve. */
const until = <A, E>(ask: Effect.Effect<A, E>, holds: (answer: A) => boolean): Effect.Effect<A, E> =>
  Effect.flatMap(ask, (answer) =>
    holds(answer) ? Effect.succeed(answer) : Effect.delay(until(ask, holds), "20 millis")
  )

const createTopic = Effect.fnUntraced(function* (connection: Connection, topic: string, partitions: number) {
  const topics = [{ topic, partitions, replicationFactor: -1, configs: [{ name: "retention.ms", value: "-1" }] }]
  const created = yield* connection.request("CreateTopics", { timeoutMs: 10_000, topics })
  assert.deepStrictEqual(created.topics, [{ topic, errorCode: 0, errorMessage: null }])
  const all = Array.from({ length: partitions }, (_, partition) => ({ partition, timestamp: latestTimestamp }))
  const offsets = connection.request("ListOffsets", { topics: [{ topic, partitions: all }] })
  yield* until(offsets, ({ topics }) => topics[0]!.partitions.every(({ errorCode }) => errorCode === 0))
})

const produce = (connection: Connection, topic: string, partition: number, acks: -1 | 0, ...values: Array<string>) =>
  connection.request("Produce", {
    transactionalId: null,
    acks,
    timeoutMs: 10_000,
    topics: [{ topic, partitions: [{ partition, records: batch(...values) }] }]
  })

const fetchRequest = (topic: string, offsets: ReadonlyArray<number>, maxWaitMs: number): Request<"Fetch"> => ({
  maxWaitMs,
  minBytes: 1,
  maxBytes: 1_000_000,
  isolationLevel: "read_committed",
  rackId: "",
  topics: [
    {
      topic,
      partitions: offsets.map((fetchOffset, partition) => ({
        partition,
        currentLeaderEpoch: -1,
        fetchOffset,
        maxBytes: 1_000_000
      }))
    }
  ]
})

const transient: ReadonlyArray<number> = [
  KafkaErrorCode.COORDINATOR_NOT_AVAILABLE,
  KafkaErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
  KafkaErrorCode.NOT_COORDINATOR
]

const whenLoaded = <A extends { readonly errorCode: number }, E>(ask: Effect.Effect<A, E>) =>
  until(ask, ({ errorCode }) => !transient.includes(errorCode))

describeKafka("KafkaJsWire on a broker", (brokers) => {
  it.scopedLive("carries topics and records", () =>
    Effect.gen(function* () {
      const connection = yield* connect(brokers, "data")
      const topic = uniqueName("wire")
      const missing = yield* connection.request("Metadata", { topics: [topic] })
      assert.deepStrictEqual(missing.topics, [
        { errorCode: KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION, topic, topicId: "", isInternal: false, partitions: [] }
      ])
      assert.deepStrictEqual((yield* connection.request("Metadata", { topics: [] })).topics, [])
      yield* createTopic(connection, topic, 2)

      const metadata = yield* connection.request("Metadata", { topics: null })
      const controller = metadata.brokers.find(({ nodeId }) => nodeId === metadata.controllerId)
      assert.include(brokers, `${controller?.host}:${controller?.port}`)
      const created = metadata.topics.find((each) => each.topic === topic)
      assert.strictEqual(created?.errorCode, 0)
      assert.deepStrictEqual(
        created?.partitions.toSorted((a, b) => a.partition - b.partition),
        [0, 1].map((partition) => ({ errorCode: 0, partition, leader: metadata.controllerId, leaderEpoch: 0 }))
      )

      const first = yield* produce(connection, topic, 0, -1, "a", "b")
      assert.deepStrictEqual(first.topics, [
        { topic, partitions: [{ partition: 0, errorCode: 0, baseOffset: 0, logAppendTimeMs: -1 }] }
      ])
      const unknown = yield* produce(connection, topic, 7, -1, "a")
      assert.strictEqual(unknown.topics[0]?.partitions[0]?.errorCode, KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
      yield* produce(connection, topic, 0, 0, "c")

      const listed = yield* connection.request("ListOffsets", {
        topics: [
          {
            topic,
            partitions: [
              { partition: 0, timestamp: latestTimestamp },
              { partition: 1, timestamp: earliestTimestamp }
            ]
          }
        ]
      })
      assert.deepStrictEqual(
        listed.topics[0]?.partitions.toSorted((a, b) => a.partition - b.partition),
        [
          { partition: 0, errorCode: 0, timestamp: -1, offset: 3 },
          { partition: 1, errorCode: 0, timestamp: -1, offset: 0 }
        ]
      )

      const fetched = yield* connection.request("Fetch", fetchRequest(topic, [0, 99], 0))
      const [records, outOfRange] = fetched.topics[0]!.partitions.toSorted((a, b) => a.partition - b.partition)
      assert.deepStrictEqual(
        RecordBatch.decode(records!.records).batches.flatMap((each) => each.records.map(({ value }) => text(value))),
        ["a", "b", "c"]
      )
      assert.deepInclude(records, { errorCode: 0, highWatermark: 3, lastStableOffset: 3, logStartOffset: 0 })
      assert.deepInclude(outOfRange, { errorCode: KafkaErrorCode.OFFSET_OUT_OF_RANGE, partition: 1 })

      const deleted = yield* connection.request("DeleteTopics", { timeoutMs: 10_000, topics: [topic] })
      assert.deepStrictEqual(deleted.topics, [{ topic, errorCode: 0 }])
    })
  )

  it.scopedLive("carries a static member's lifecycle in its group", () =>
    Effect.gen(function* () {
      const data = yield* connect(brokers, "data")
      const connection = yield* connect(brokers, "group")
      const [topic, groupId, groupInstanceId] = [uniqueName("wire"), uniqueName("group"), "instance-1"]
      yield* createTopic(data, topic, 1)
      const { coordinator } = yield* whenLoaded(
        connection.request("FindCoordinator", { key: groupId, keyType: "group" })
      )
      assert.include(brokers, `${coordinator.host}:${coordinator.port}`)

      const join = (groupId: string, instance: string | null) =>
        connection.request("JoinGroup", {
          groupId,
          sessionTimeoutMs: 10_000,
          rebalanceTimeoutMs: 10_000,
          memberId: "",
          groupInstanceId: instance,
          protocolType: "opaque", // a broker reads the metadata of "consumer"
          protocols: [{ name: "range", metadata: bytes("subscription") }]
        })
      const refused = yield* whenLoaded(join(uniqueName("group"), null))
      assert.strictEqual(refused.errorCode, KafkaErrorCode.MEMBER_ID_REQUIRED)
      assert.notStrictEqual(refused.memberId, "")

      const joined = yield* join(groupId, groupInstanceId)
      const { memberId, generationId } = joined
      assert.deepInclude(joined, { errorCode: 0, generationId: 1, protocolName: "range", leader: memberId })
      assert.deepStrictEqual(joined.members, [{ memberId, groupInstanceId, metadata: bytes("subscription") }])

      const member = { groupId, generationId, memberId, groupInstanceId }
      const synced = yield* connection.request("SyncGroup", {
        ...member,
        assignments: [{ memberId, assignment: bytes("assignment") }]
      })
      assert.deepStrictEqual(synced, { errorCode: 0, assignment: bytes("assignment") })
      assert.deepStrictEqual(yield* connection.request("Heartbeat", member), { errorCode: 0 })

      const offset = 2 ** 40 + 5
      const commit = (from: typeof member) =>
        connection.request("OffsetCommit", {
          ...from,
          topics: [{ topic, partitions: [{ partition: 0, offset, leaderEpoch: 3, metadata: "note" }] }]
        })
      const answered = (errorCode: number) => ({ topics: [{ topic, partitions: [{ partition: 0, errorCode }] }] })
      assert.deepStrictEqual(yield* commit(member), answered(0))
      assert.deepStrictEqual(
        yield* commit({ ...member, memberId: `${memberId}-zombie` }),
        answered(KafkaErrorCode.FENCED_INSTANCE_ID)
      )

      const committed = {
        topic,
        partitions: [{ partition: 0, errorCode: 0, offset, leaderEpoch: 3, metadata: "note" }]
      }
      for (const topics of [null, [{ topic, partitions: [0] }]]) {
        const offsets = yield* connection.request("OffsetFetch", { groupId, topics })
        assert.deepStrictEqual(offsets, { errorCode: 0, topics: [committed] })
      }
      assert.deepStrictEqual((yield* connection.request("OffsetFetch", { groupId, topics: [] })).topics, [])

      const leave = (members: Request<"LeaveGroup">["members"]) =>
        connection.request("LeaveGroup", { groupId, members })
      assert.deepStrictEqual(yield* leave([{ memberId, groupInstanceId }]), { errorCode: 0 })
      assert.deepStrictEqual(yield* leave([{ memberId, groupInstanceId: null }]), {
        errorCode: KafkaErrorCode.UNKNOWN_MEMBER_ID
      })
    })
  )

  it.scopedLive("lays out every version of a range alike", () =>
    Effect.gen(function* () {
      const data = yield* connect(brokers, "data")
      const [topic, groupId] = [uniqueName("wire"), uniqueName("group")]
      yield* createTopic(data, topic, 1)
      yield* whenLoaded(data.request("FindCoordinator", { key: groupId, keyType: "group" }))
      const { options } = decodeOptions({ brokers: brokers.split(",") })
      const link = openLink(options.bootstrap[0]!, options)
      yield* Effect.addFinalizer(() => Effect.sync(() => link.destroy("the test is over")))
      link.ready()

      const eachVersion = <A extends Api>(api: A, request: Request<A>): Effect.Effect<Array<Response<A>>, unknown> => {
        const { key, versions, decode, encode } = apis[api]
        return Effect.forEach(
          Array.from({ length: versions.max - versions.min + 1 }, (_, index) => versions.min + index),
          (version) =>
            link.send<Response<A>>({
              api,
              key,
              version,
              waitMs: 0,
              encode: (out) => encode(out, request, version),
              decode: (reader) => {
                const decoded = decode(reader, version, request)
                assert.strictEqual(reader.remaining, 0, `${api} v${version}`)
                return decoded
              }
            })
        )
      }

      const produced = yield* eachVersion("Produce", {
        transactionalId: null,
        acks: -1,
        timeoutMs: 10_000,
        topics: [{ topic, partitions: [{ partition: 0, records: batch("a") }] }]
      })
      assert.deepStrictEqual(
        produced.map(({ topics }) => topics[0]?.partitions[0]?.baseOffset),
        [0, 1, 2]
      )
      const listed = yield* eachVersion("ListOffsets", {
        topics: [{ topic, partitions: [{ partition: 0, timestamp: latestTimestamp }] }]
      })
      assert.deepStrictEqual(
        listed.map(({ topics }) => topics[0]?.partitions[0]?.offset),
        [3, 3]
      )
      const found = yield* eachVersion("FindCoordinator", { key: groupId, keyType: "group" })
      assert.deepStrictEqual(found[0], found[1])
      const { NONE, INVALID_PARTITIONS, UNKNOWN_TOPIC_OR_PARTITION } = KafkaErrorCode
      const increased = yield* eachVersion("CreatePartitions", { timeoutMs: 10_000, topics: [{ topic, count: 2 }] })
      assert.deepStrictEqual(
        increased.map(({ topics }) => topics[0]?.errorCode),
        [NONE, INVALID_PARTITIONS]
      )
      const settings = yield* eachVersion("DescribeConfigs", { topics: [topic, `${topic}-missing`] })
      assert.deepStrictEqual(settings[0], settings[1])
      assert.deepStrictEqual(
        settings[0]!.topics.map(({ errorCode }) => errorCode),
        [NONE, UNKNOWN_TOPIC_OR_PARTITION]
      )
      const trimmed = yield* eachVersion("DeleteRecords", {
        timeoutMs: 10_000,
        topics: [{ topic, partitions: [{ partition: 0, offset: 2 }] }]
      })
      assert.deepStrictEqual(trimmed[0], {
        topics: [{ topic, partitions: [{ partition: 0, lowWatermark: 2, errorCode: NONE }] }]
      })
      assert.deepStrictEqual(trimmed[0], trimmed[1])
      const group = { groupId, generationId: -1, memberId: "", groupInstanceId: null }
      yield* whenLoaded(data.request("OffsetFetch", { groupId, topics: null }))
      yield* data.request("OffsetCommit", {
        ...group,
        topics: [{ topic, partitions: [{ partition: 0, offset: 2, metadata: "" }] }]
      })
      const listings = yield* eachVersion("ListGroups", {})
      assert.deepStrictEqual(
        listings.map(({ groups }) => groups.find((one) => one.groupId === groupId)),
        [
          { groupId, protocolType: "", state: "", type: "" },
          { groupId, protocolType: "", state: "Empty", type: "" },
          { groupId, protocolType: "", state: "Empty", type: "classic" }
        ]
      )
      yield* eachVersion("OffsetDelete", { groupId, topics: [{ topic, partitions: [0] }] })
      yield* data.request("OffsetCommit", {
        ...group,
        topics: [{ topic, partitions: [{ partition: 0, offset: 2, metadata: "" }] }]
      })
      const removed = yield* eachVersion("DeleteGroups", { groupIds: [groupId] })
      assert.deepStrictEqual(
        removed.map(({ groups }) => groups[0]?.errorCode),
        [NONE, KafkaErrorCode.GROUP_ID_NOT_FOUND]
      )
      const described = yield* eachVersion("Metadata", { topics: [topic], withReplicas: true })
      for (const { topics } of described) {
        assert.deepInclude(topics[0]?.partitions[0], { partition: 0, replicas: [topics[0]!.partitions[0]!.leader] })
      }
      const deleted = yield* eachVersion("DeleteTopics", { timeoutMs: 10_000, topics: [topic] })
      assert.deepStrictEqual(
        deleted.map(({ topics }) => topics[0]?.errorCode),
        [NONE, UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_OR_PARTITION]
      )
    })
  )

  it.scopedLive("fails to connect to an unknown host", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(connect("broker.invalid:9092", "data"))
      assert.deepInclude(error, { reason: "ConnectFailed", endpoint: "broker.invalid:9092" })
    })
  )
})

describeOwnKafka("KafkaJsWire on a broker that fails", () => {
  it.scopedLive("distinguishes a frozen broker from a stopped one", () =>
    Effect.gen(function* () {
      const broker = yield* makeBroker()
      const connection = yield* connect(broker.bootstrap, "fetch")
      const topic = uniqueName("wire")
      yield* createTopic(connection, topic, 1)

      yield* broker.freeze
      const frozen = yield* Effect.flip(connect(broker.bootstrap, "data", { connectTimeout: "200 millis" }))
      assert.strictEqual(frozen.reason, "Timeout")
      yield* broker.resume

      const polling = yield* Deferred.make<void>()
      const poll = connection.request("Fetch", fetchRequest(topic, [0], 60_000))
      const parked = yield* Effect.fork(Effect.zipRight(Deferred.succeed(polling, undefined), poll))
      yield* Deferred.await(polling)
      yield* broker.kill
      assert.deepInclude(yield* Effect.flip(Fiber.join(parked)), { reason: "Disconnected", api: "Fetch" })
      assert.strictEqual((yield* connection.closed).reason, "Disconnected")
      assert.strictEqual((yield* Effect.flip(connect(broker.bootstrap, "fetch"))).reason, "ConnectFailed")
    })
  )
})
