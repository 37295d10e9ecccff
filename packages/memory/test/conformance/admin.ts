/**
 * Administration of a cluster, with `KafkaAdmin`.
 */
import { assert } from "@effect/vitest"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import { Wire } from "@spillway/kafka/Wire"
import * as Position from "@spillway/transport/Position"
import * as Effect from "effect/Effect"
import { adminGroups } from "./adminGroups.js"
import { failuresOf, fill, firstTimestamp, withAdmin } from "./adminSupport.js"
import { eventually, type Suite } from "./harness.js"

export const admin = (suite: Suite): void => {
  const test = withAdmin(suite)

  test("an admin client creates, lists, describes and deletes topics", (admin, { unique }) =>
    Effect.gen(function* () {
      const [one, three] = [unique("one"), unique("three")]
      yield* admin.createTopics([{ topic: three, partitions: 3, replicationFactor: 1 }, { topic: one }])
      yield* admin.ensureTopics([{ topic: one, partitions: 7 }])
      const listed = (yield* admin.listTopics()).filter(({ topic }) => topic === one || topic === three)
      const [described, other] = yield* admin.describeTopics([three, one])
      assert.deepStrictEqual(
        listed,
        [other!, described!].map(({ isInternal, topic, topicId }) => ({ topic, topicId, isInternal }))
      )
      assert.strictEqual(described!.topic, three)
      assert.isFalse(described!.isInternal)
      assert.match(described!.topicId, /^[\w-]{22}$/)
      assert.strictEqual(other!.partitions.length, 1)
      for (const [index, { isr, leader, leaderEpoch, partition, replicas }] of described!.partitions.entries()) {
        assert.deepStrictEqual([partition, leaderEpoch, replicas, isr], [index, 0, [leader!], [leader!]])
      }
      yield* admin.deleteTopics([one])
      assert.deepStrictEqual(yield* failuresOf(admin.describeTopics([three, one])), [["UnknownTopic", one]])
      yield* admin.createTopics([{ topic: one }])
      const [again] = yield* admin.describeTopics([one])
      assert.notStrictEqual(again!.topicId, other!.topicId)
    }))

  test("an admin client lists every topic that fails and carries out the others", (admin, { unique }) =>
    Effect.gen(function* () {
      const [existing, missing, created] = [unique("existing"), unique("missing"), unique("new")]
      yield* admin.createTopics([{ topic: existing }])
      assert.deepStrictEqual(
        yield* failuresOf(
          admin.createTopics([
            { topic: "not a name" },
            { topic: created },
            { topic: existing },
            { topic: missing, configs: { "no.such": "setting" } }
          ])
        ),
        [
          ["InvalidTopic", "not a name"],
          ["TopicAlreadyExists", existing],
          ["InvalidConfiguration", missing]
        ]
      )
      assert.deepStrictEqual(yield* failuresOf(admin.createTopics([{ topic: missing, replicationFactor: 32_000 }])), [
        ["InvalidConfiguration", missing]
      ])
      assert.deepStrictEqual(yield* failuresOf(admin.deleteTopics([missing, created])), [["UnknownTopic", missing]])
      assert.deepStrictEqual(yield* failuresOf(admin.describeTopics([missing, existing, created, "not a name"])), [
        ["UnknownTopic", missing],
        ["UnknownTopic", created],
        ["InvalidTopic", "not a name"]
      ])
    }))

  test("an admin client adds partitions", (admin, { unique }) =>
    Effect.gen(function* () {
      const [topic, other] = [unique("topic"), unique("other")]
      yield* admin.createTopics([{ topic }, { topic: other, partitions: 2 }])
      yield* admin.createPartitions([{ topic, partitions: 4 }])
      const [described] = yield* admin.describeTopics([topic])
      assert.deepStrictEqual(
        described!.partitions.map(({ partition }) => partition),
        [0, 1, 2, 3]
      )
      assert.deepStrictEqual(
        yield* failuresOf(
          admin.createPartitions([
            { topic, partitions: 4 },
            { topic: unique("missing"), partitions: 2 },
            { topic: other, partitions: 3 }
          ])
        ).pipe(Effect.map((failures) => failures.map(([reason]) => reason))),
        ["InvalidConfiguration", "UnknownTopic"]
      )
      assert.strictEqual((yield* admin.describeTopics([other]))[0]!.partitions.length, 3)
    }))

  test("an admin client describes and changes settings of topics", (admin, { unique }) =>
    Effect.gen(function* () {
      const [topic, other, missing] = [unique("topic"), unique("other"), unique("missing")]
      yield* admin.createTopics([
        { topic, configs: { "retention.ms": "1000", "cleanup.policy": "compact" } },
        { topic: other }
      ])
      const describe = (name: string) => Effect.map(admin.describeConfigs([name]), ([described]) => described!.configs)
      const created = yield* eventually(describe(topic), (configs) => configs["retention.ms"]?.value === "1000")
      assert.deepStrictEqual(created["retention.ms"], {
        value: "1000",
        source: "topic",
        isDefault: false,
        isSensitive: false,
        isReadOnly: false
      })
      assert.deepInclude(created["flush.ms"], { value: "9223372036854775807", source: "default", isDefault: true })
      yield* admin.alterConfigs([
        {
          topic,
          set: { "max.message.bytes": " 2000 ", "cleanup.policy": "compact, delete", preallocate: "TRUE" },
          remove: ["retention.ms", "never.set"]
        },
        { topic: other, set: { "min.cleanable.dirty.ratio": "0.25" } }
      ])
      const altered = yield* eventually(describe(topic), (configs) => configs["max.message.bytes"]?.value === "2000")
      assert.deepInclude(altered["cleanup.policy"], { value: "compact,delete", source: "topic" })
      assert.deepInclude(altered["preallocate"], { value: "true" })
      assert.deepInclude(altered["retention.ms"], { value: "604800000", source: "default" })
      yield* eventually(describe(other), (configs) => configs["min.cleanable.dirty.ratio"]?.value === "0.25")
      const refused = yield* Effect.flip(
        admin.alterConfigs([
          { topic, set: { "retention.ms": "5", "no.such": "1" } },
          { topic: missing, set: { "retention.ms": "5" } },
          { topic: other, set: { "retention.ms": "-2" } }
        ])
      )
      assert.deepStrictEqual(
        refused.failures.map(({ description, reason, topic }) => [reason, topic, description]),
        [
          ["InvalidConfiguration", topic, "Unknown topic config name: no.such (INVALID_CONFIG)"],
          ["UnknownTopic", missing, `The topic '${missing}' does not exist. (UNKNOWN_TOPIC_OR_PARTITION)`],
          [
            "InvalidConfiguration",
            other,
            "Invalid value -2 for configuration retention.ms: Value must be at least -1 (INVALID_CONFIG)"
          ]
        ]
      )
      assert.strictEqual((yield* describe(topic))["retention.ms"]!.value, "604800000")
      assert.deepStrictEqual(yield* failuresOf(admin.describeConfigs([topic, missing])), [["UnknownTopic", missing]])
    }))

  test("an admin client sees Kafka's defaults of topics", (admin, { unique }) =>
    Effect.gen(function* () {
      const topic = unique("topic")
      yield* admin.createTopics([{ topic }])
      const [described] = yield* admin.describeConfigs([topic])
      assert.deepStrictEqual(
        Object.entries(described!.configs)
          .filter(([name]) => name !== "min.insync.replicas")
          .map(([name, { isDefault, value }]) => [name, value, isDefault])
          .sort(),
        topicDefaults.map(([name, value]) => [name, value, true])
      )
    }))

  test("an admin client finds offsets at positions", (admin, harness) =>
    Effect.gen(function* () {
      const topic = harness.unique("topic")
      yield* admin.createTopics([{ topic, partitions: 2 }])
      yield* fill(harness, topic, 10)
      const places = [
        { topic, partition: 1 },
        { topic, partition: 0 }
      ]
      const at = (position: Position.Position) =>
        Effect.map(admin.listOffsets(places, position), (found) => {
          assert.deepStrictEqual(
            found.map(({ partition, topic }) => ({ topic, partition })),
            places
          )
          return found.map(({ offset }) => offset)
        })
      assert.deepStrictEqual(yield* at(Position.beginning), [0, 0])
      assert.deepStrictEqual(yield* at(Position.end), [10, 10])
      assert.deepStrictEqual(yield* at(Position.timestamp(firstTimestamp + 4)), [4, 4])
      assert.deepStrictEqual(yield* at(Position.timestamp(firstTimestamp + 10)), [10, 10])
      assert.deepStrictEqual(yield* at(Position.offset(10)), [10, 10])
      assert.deepStrictEqual(
        yield* failuresOf(
          admin.listOffsets(
            [...places, { topic, partition: 2 }, { topic: `${topic}-missing`, partition: 0 }],
            Position.end
          )
        ),
        [
          ["UnknownPartition", topic, 2],
          ["UnknownTopic", `${topic}-missing`, 0]
        ]
      )
      assert.deepStrictEqual(yield* failuresOf(admin.listOffsets(places, Position.offset(11))), [
        ["OffsetOutOfRange", topic, 1],
        ["OffsetOutOfRange", topic, 0]
      ])
    }))

  test("an admin client's end is before an open transaction, unless it reads uncommitted", (admin, harness) =>
    Effect.gen(function* () {
      const topic = harness.unique("topic")
      yield* admin.createTopics([{ topic }])
      yield* fill(harness, topic, 3, 1)
      const { wire } = yield* harness.client
      const place = { topic, partition: 0 }
      yield* Effect.scoped(
        Effect.gen(function* () {
          const producer = yield* KafkaProducer.makeTransactional({ transactionalId: harness.unique("id") }).pipe(
            Effect.provideService(Wire, wire)
          )
          yield* producer.transaction((transaction) =>
            Effect.gen(function* () {
              yield* transaction.send({ topic, partition: 0, value: Buffer.from("open") })
              assert.strictEqual((yield* admin.listOffsets([place], Position.end))[0]!.offset, 3)
              const options = { isolationLevel: "read_uncommitted" } as const
              assert.strictEqual((yield* admin.listOffsets([place], Position.end, options))[0]!.offset, 4)
            })
          )
        })
      )
    }))

  test("an admin client deletes records before positions", (admin, harness) =>
    Effect.gen(function* () {
      const [topic, compacted] = [harness.unique("topic"), harness.unique("compacted")]
      yield* admin.createTopics([
        { topic, partitions: 3 },
        { topic: compacted, configs: { "cleanup.policy": "compact" } }
      ])
      yield* fill(harness, topic, 10, 3)
      const place = (partition: number) => ({ topic, partition })
      assert.deepStrictEqual(
        yield* admin.deleteRecords([
          { ...place(2), before: Position.end },
          { ...place(0), before: Position.offset(4) },
          { ...place(1), before: Position.timestamp(firstTimestamp + 7) }
        ]),
        [
          { ...place(2), startOffset: 10 },
          { ...place(0), startOffset: 4 },
          { ...place(1), startOffset: 7 }
        ]
      )
      const starts = yield* admin.listOffsets([place(0), place(1), place(2)], Position.beginning)
      assert.deepStrictEqual(
        starts.map(({ offset }) => offset),
        [4, 7, 10]
      )
      assert.deepStrictEqual(
        yield* failuresOf(
          admin.deleteRecords([
            { ...place(0), before: Position.offset(11) },
            { ...place(1), before: Position.end }
          ])
        ),
        [["OffsetOutOfRange", topic, 0]]
      )
      assert.strictEqual((yield* admin.listOffsets([place(1)], Position.beginning))[0]!.offset, 7)
      assert.deepStrictEqual(
        yield* failuresOf(admin.deleteRecords([{ topic: compacted, partition: 0, before: Position.end }])),
        [["InvalidConfiguration", compacted, 0]]
      )
    }))

  adminGroups(suite)
}

/** Kafka 4.3's, but for `min.insync.replicas`, which a cluster may set. */
const topicDefaults: ReadonlyArray<readonly [string, string]> = [
  ["cleanup.policy", "delete"],
  ["compression.gzip.level", "-1"],
  ["compression.lz4.level", "9"],
  ["compression.type", "producer"],
  ["compression.zstd.level", "3"],
  ["delete.retention.ms", "86400000"],
  ["file.delete.delay.ms", "60000"],
  ["flush.messages", "9223372036854775807"],
  ["flush.ms", "9223372036854775807"],
  ["follower.replication.throttled.replicas", ""],
  ["index.interval.bytes", "4096"],
  ["leader.replication.throttled.replicas", ""],
  ["local.retention.bytes", "-2"],
  ["local.retention.ms", "-2"],
  ["max.compaction.lag.ms", "9223372036854775807"],
  ["max.message.bytes", "1048588"],
  ["message.timestamp.after.max.ms", "3600000"],
  ["message.timestamp.before.max.ms", "9223372036854775807"],
  ["message.timestamp.type", "CreateTime"],
  ["min.cleanable.dirty.ratio", "0.5"],
  ["min.compaction.lag.ms", "0"],
  ["preallocate", "false"],
  ["remote.log.copy.disable", "false"],
  ["remote.log.delete.on.disable", "false"],
  ["remote.storage.enable", "false"],
  ["retention.bytes", "-1"],
  ["retention.ms", "604800000"],
  ["segment.bytes", "1073741824"],
  ["segment.index.bytes", "10485760"],
  ["segment.jitter.ms", "0"],
  ["segment.ms", "604800000"],
  ["unclean.leader.election.enable", "false"]
]
