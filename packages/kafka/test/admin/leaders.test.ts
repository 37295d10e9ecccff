import { assert, describe, it } from "@effect/vitest"
import * as KafkaAdmin from "@spillway/kafka/KafkaAdmin"
import { KafkaErrorCode } from "@spillway/kafka/KafkaErrorCode"
import type { Response } from "@spillway/kafka/Protocol"
import { Wire } from "@spillway/kafka/Wire"
import type { FaultRule } from "@spillway/memory/Faults"
import * as MemoryBroker from "@spillway/memory/MemoryBroker"
import * as Position from "@spillway/transport/Position"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { administer } from "./administer.js"

const topic = "orders"
const places = [0, 1, 2].map((partition) => ({ topic, partition }))

describe("KafkaAdmin: requests to leaders", () => {
  const answer = (code: number, apis: FaultRule["apis"], partitions?: ReadonlyArray<number>): FaultRule => ({
    fault: { _tag: "Answer", code, when: "instead", partitions },
    apis,
    times: 1
  })

  it.effect("asks each leader for its partitions, again when leaders move", () =>
    administer(
      ({ admin, broker, faults }) =>
        Effect.gen(function* () {
          yield* broker.createTopic(topic, 3)
          yield* broker.produce(topic, [{ value: "a", partition: 1 }])
          const listing = yield* Effect.fork(admin.listOffsets(places, Position.end))
          yield* TestClock.adjust("1 seconds")
          assert.deepStrictEqual(
            (yield* Fiber.join(listing)).map(({ offset, partition }) => [partition, offset]),
            [
              [0, 0],
              [1, 1],
              [2, 0]
            ]
          )
          assert.strictEqual(faults.length, 3)
          const [one, two] = [yield* broker.leader(topic, 0), yield* broker.leader(topic, 1)]
          assert.notStrictEqual(one, two)
          yield* broker.stopNode(two, { electAfter: "3 seconds" })
          const after = yield* Effect.fork(admin.listOffsets(places, Position.end))
          yield* TestClock.adjust("2 seconds")
          assert.isNull(after.unsafePoll())
          yield* TestClock.adjust("3 seconds")
          assert.strictEqual((yield* Fiber.join(after))[1]!.offset, 1)
        }),
      {
        broker: { nodes: 3 },
        rules: [
          answer(KafkaErrorCode.NOT_LEADER_OR_FOLLOWER, ["ListOffsets"], [1]),
          answer(KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ["ListOffsets"], [2]),
          { fault: { _tag: "Disconnect", when: "after" }, apis: ["ListOffsets"], times: 1 }
        ]
      }
    )
  )

  it.effect("reports the partition that keeps failing at the timeout", () =>
    administer(({ admin, broker }) =>
      Effect.gen(function* () {
        yield* broker.createTopic(topic, 3)
        yield* broker.moveLeader(topic, 1, -1)
        const listing = yield* Effect.fork(
          Effect.flip(admin.listOffsets(places, Position.end, { timeout: "5 seconds" }))
        )
        yield* TestClock.adjust("5 seconds")
        const { failures } = yield* Fiber.join(listing)
        assert.deepStrictEqual(failures, [
          {
            reason: "Timeout",
            topic,
            partition: 1,
            description: "not done within 5000 ms: the partition has no leader"
          }
        ])
      })
    )
  )

  it.effect("deletes no record that was written after the first attempt", () =>
    administer(
      ({ admin, broker }) =>
        Effect.gen(function* () {
          yield* broker.createTopic(topic)
          yield* broker.produce(topic, [{ value: "a" }, { value: "b" }])
          const deleting = yield* Effect.fork(admin.deleteRecords([{ topic, partition: 0, before: Position.end }]))
          yield* TestClock.adjust("10 millis")
          assert.isNull(deleting.unsafePoll())
          yield* broker.produce(topic, [{ value: "c" }])
          yield* TestClock.adjust("1 seconds")
          assert.deepStrictEqual(yield* Fiber.join(deleting), [{ topic, partition: 0, startOffset: 2 }])
          assert.deepStrictEqual(
            (yield* broker.records(topic)).map(({ offset }) => offset),
            [2]
          )
        }),
      { rules: [{ fault: { _tag: "Disconnect", when: "after" }, apis: ["DeleteRecords"], times: 1 }] }
    )
  )

  it.effect("fails at once for partitions that can't be, named twice or not permitted", () =>
    administer(
      ({ admin, broker }) =>
        Effect.gen(function* () {
          yield* broker.createTopic(topic, 3)
          const wrong = yield* Effect.flip(
            admin.deleteRecords([
              { topic, partition: 0, before: { _tag: "Offset", offset: -1 } },
              { topic, partition: -1, before: Position.end },
              { topic, partition: 0, before: Position.end }
            ])
          )
          assert.deepStrictEqual(
            wrong.failures.map(({ field, partition, reason }) => [reason, field, partition]),
            [
              ["InvalidArgument", "partition", undefined],
              ["InvalidArgument", "records", undefined],
              ["InvalidArgument", "before", 0]
            ]
          )
          const isolation = admin.listOffsets(places, Position.end, { isolationLevel: "none" as never })
          assert.strictEqual((yield* Effect.flip(isolation)).field, "isolationLevel")
          const { failures } = yield* Effect.flip(admin.listOffsets(places, Position.end))
          assert.deepStrictEqual(
            failures.map(({ partition, reason }) => [reason, partition]),
            [["Authorization", 1]]
          )
        }),
      { rules: [answer(KafkaErrorCode.TOPIC_AUTHORIZATION_FAILED, ["ListOffsets"], [1])] }
    )
  )
})

describe("KafkaAdmin: settings and partitions", () => {
  it.effect("repeats a change of settings whose response was lost, but not an increase of partitions", () =>
    administer(
      ({ admin, broker, faults }) =>
        Effect.gen(function* () {
          yield* broker.createTopic(topic)
          const altering = yield* Effect.fork(admin.alterConfigs([{ topic, set: { "retention.ms": "5" } }]))
          yield* TestClock.adjust("1 seconds")
          yield* Fiber.join(altering)
          assert.strictEqual((yield* admin.describeConfigs([topic]))[0]!.configs["retention.ms"]!.value, "5")
          const error = yield* Effect.flip(admin.createPartitions([{ topic, partitions: 2 }]))
          assert.deepStrictEqual([error.reason, error.topic], ["Disconnected", topic])
          assert.strictEqual(faults.length, 2)
          assert.strictEqual((yield* admin.describeTopics([topic]))[0]!.partitions.length, 2)
        }),
      {
        rules: [
          { fault: { _tag: "Disconnect", when: "after" }, apis: ["IncrementalAlterConfigs"], times: 1 },
          { fault: { _tag: "Disconnect", when: "after" }, apis: ["CreatePartitions"] }
        ]
      }
    )
  )

  it.scoped("waits until brokers list the new partitions", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.make({ topics: { [topic]: 1 } })
      let outdated = 2
      const behind = Wire.of({
        ...broker.wire,
        connect: (endpoint, role) =>
          Effect.map(broker.wire.connect(endpoint, role), (connection) => ({
            ...connection,
            request: (api, request, limitMs) =>
              Effect.map(connection.request(api, request, limitMs), (response) => {
                const topics = api === "Metadata" ? (response as Response<"Metadata">).topics : []
                if (topics[0]?.partitions.length !== 3 || outdated-- <= 0) return response
                return { ...response, topics: [{ ...topics[0], partitions: topics[0].partitions.slice(0, 1) }] }
              })
          }))
      })
      const admin = yield* Effect.provideService(KafkaAdmin.make(), Wire, behind)
      const adding = yield* Effect.fork(admin.createPartitions([{ topic, partitions: 3 }]))
      yield* TestClock.adjust("1 seconds")
      yield* Fiber.join(adding)
      assert.isBelow(outdated, 1)
    })
  )

  it.effect("refuses a setting that is both set and removed", () =>
    administer(({ admin }) =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(
          admin.alterConfigs([
            { topic, set: { "retention.ms": "5", "segment.ms": 1 as never }, remove: ["retention.ms"] }
          ])
        )
        assert.deepStrictEqual(
          error.failures.map(({ field, reason }) => [reason, field]),
          [
            ["InvalidArgument", "set.segment.ms"],
            ["InvalidArgument", "remove.retention.ms"]
          ]
        )
      })
    )
  )
})
