import { assert, describe, it } from "@effect/vitest"
import { KafkaErrorCode } from "@spillway/kafka/KafkaErrorCode"
import type { FaultRule } from "@spillway/memory/Faults"
import * as Position from "@spillway/transport/Position"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { type Administered, administer } from "./administer.js"

const topic = "orders"
const groups = ["one", "two", "three"]
const place = { topic, partition: 0 }

/** A topic of three records, and groups at the start of it, with a coordinator each. */
const setUp = ({ admin, broker }: Administered) =>
  Effect.gen(function* () {
    yield* broker.createTopic(topic, 2)
    yield* broker.produce(topic, [{ value: "a" }, { value: "b" }, { value: "c" }])
    for (const [index, groupId] of groups.entries()) {
      yield* admin.resetOffsets(groupId, [{ ...place, to: Position.beginning }])
      yield* broker.moveCoordinator(groupId, index + 1)
    }
  })

const within = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(effect)
    yield* TestClock.adjust("5 seconds")
    return yield* Fiber.join(fiber)
  })

const answer = (code: number, api: NonNullable<FaultRule["apis"]>[number]): FaultRule => ({
  fault: { _tag: "Answer", code, when: "instead" },
  apis: [api],
  times: 1
})

const lost = (api: NonNullable<FaultRule["apis"]>[number]): FaultRule => ({
  fault: { _tag: "Disconnect", when: "after" },
  apis: [api],
  times: 1
})

describe("KafkaAdmin: groups", () => {
  it.effect("asks every broker for its groups, and each coordinator for those it has", () =>
    administer(
      (administered) =>
        Effect.gen(function* () {
          const { admin, broker, faults } = administered
          yield* setUp(administered)
          assert.deepStrictEqual(
            (yield* within(admin.listGroups())).map(({ groupId }) => groupId),
            ["one", "three", "two"]
          )
          const described = yield* within(admin.describeGroups(groups))
          assert.deepStrictEqual(
            described.map(({ coordinator, groupId }) => [groupId, coordinator]),
            [
              ["one", 1],
              ["two", 2],
              ["three", 3]
            ]
          )
          assert.strictEqual(faults.length, 4)
          yield* broker.moveCoordinator("two", 1)
          assert.strictEqual((yield* within(admin.describeGroups(["two"])))[0]!.coordinator, 1)
          yield* broker.stopNode(3)
          assert.strictEqual((yield* within(admin.listGroups())).length, 3)
          const [moved] = yield* within(admin.describeGroups(["three"]))
          assert.notStrictEqual(moved!.coordinator, 3)
        }),
      {
        broker: { nodes: 3 },
        rules: [
          answer(KafkaErrorCode.COORDINATOR_LOAD_IN_PROGRESS, "ListGroups"),
          lost("ListGroups"),
          answer(KafkaErrorCode.NOT_COORDINATOR, "DescribeGroups"),
          lost("DescribeGroups")
        ]
      }
    )
  )

  it.effect("waits for a broker that the cluster still lists before it lists groups", () =>
    administer(
      (administered) =>
        Effect.gen(function* () {
          const { admin, broker } = administered
          yield* setUp(administered)
          yield* broker.stopNode(2, { electAfter: "3 seconds" })
          const listing = yield* Effect.fork(admin.listGroups())
          yield* TestClock.adjust("2 seconds")
          assert.isNull(listing.unsafePoll())
          yield* TestClock.adjust("3 seconds")
          assert.strictEqual((yield* Fiber.join(listing)).length, 3)
        }),
      { broker: { nodes: 3 } }
    )
  )

  it.effect("reads, resets and deletes offsets while the coordinator loads or responses are lost", () =>
    administer(
      (administered) =>
        Effect.gen(function* () {
          const { admin, broker, faults } = administered
          yield* broker.createTopic(topic, 2)
          yield* broker.produce(topic, [{ value: "a" }, { value: "b" }, { value: "c" }])
          assert.deepStrictEqual(yield* within(admin.resetOffsets("one", [{ ...place, to: Position.offset(2) }])), [
            { ...place, offset: 2 }
          ])
          assert.deepStrictEqual(
            (yield* within(admin.groupOffsets("one"))).map(({ offset }) => offset),
            [2]
          )
          yield* within(admin.deleteOffsets("one", [place]))
          assert.deepStrictEqual(yield* broker.committed("one"), [])
          assert.strictEqual(faults.length, 9)
        }),
      {
        rules: [
          answer(KafkaErrorCode.COORDINATOR_NOT_AVAILABLE, "FindCoordinator"),
          answer(KafkaErrorCode.COORDINATOR_LOAD_IN_PROGRESS, "OffsetCommit"),
          answer(KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "OffsetCommit"),
          lost("OffsetCommit"),
          answer(KafkaErrorCode.NOT_COORDINATOR, "OffsetFetch"),
          lost("OffsetFetch"),
          lost("OffsetFetch"),
          answer(KafkaErrorCode.COORDINATOR_LOAD_IN_PROGRESS, "OffsetDelete"),
          lost("OffsetDelete")
        ]
      }
    )
  )

  it.effect("lists every group that fails, and deletes the others once", () =>
    administer(
      (administered) =>
        Effect.gen(function* () {
          const { admin, broker } = administered
          yield* setUp(administered)
          const failed = yield* Effect.flip(within(admin.deleteGroups(["missing", "one", "two", "three"])))
          assert.deepStrictEqual(
            failed.failures.map(({ groupId, reason }) => [reason, groupId]),
            [
              ["UnknownGroup", "missing"],
              ["Disconnected", "two"]
            ]
          )
          assert.include(failed.message, "UnknownGroup: group missing: the broker answered GROUP_ID_NOT_FOUND")
          for (const groupId of groups) assert.deepStrictEqual(yield* broker.committed(groupId), [])
        }),
      { broker: { nodes: 3 }, rules: [{ ...lost("DeleteGroups"), ports: [9093] }] }
    )
  )

  it.effect("fails at once when the group is refused, and when an argument can't be used", () =>
    administer(
      ({ admin, broker }) =>
        Effect.gen(function* () {
          yield* broker.createTopic(topic, 2)
          const refused = yield* Effect.flip(admin.groupOffsets("one"))
          assert.deepStrictEqual([refused.reason, refused.groupId], ["Authorization", "one"])
          const wrong = yield* Effect.flip(
            admin.resetOffsets("", [
              { ...place, to: Position.offset(0.5) },
              { ...place, to: Position.end }
            ])
          )
          assert.deepStrictEqual(
            wrong.failures.map(({ field, reason }) => [reason, field]),
            [
              ["InvalidArgument", "groupId"],
              ["InvalidArgument", "resets"],
              ["InvalidArgument", "to"]
            ]
          )
          assert.strictEqual((yield* Effect.flip(admin.describeGroups(["one", "one"]))).field, "groupId")
        }),
      { rules: [answer(KafkaErrorCode.GROUP_AUTHORIZATION_FAILED, "OffsetFetch")] }
    )
  )

  it.effect("commits nothing if a position can't be resolved in time", () =>
    administer(({ admin, broker }) =>
      Effect.gen(function* () {
        yield* broker.createTopic(topic, 2)
        yield* broker.moveLeader(topic, 1, -1)
        const resets = [0, 1].map((partition) => ({ topic, partition, to: Position.end }))
        const error = yield* Effect.flip(within(admin.resetOffsets("one", resets, { timeout: "3 seconds" })))
        assert.deepStrictEqual(
          error.failures.map(({ partition, reason }) => [reason, partition]),
          [["Timeout", 1]]
        )
        assert.deepStrictEqual(yield* broker.committed("one"), [])
      })
    )
  )

  it.effect("measures lag of all partitions of the group's topics, but for deleted ones", () =>
    administer(
      (administered) =>
        Effect.gen(function* () {
          const { admin, broker, faults } = administered
          yield* setUp(administered)
          yield* broker.produce(topic, [{ value: "d", partition: 1 }])
          assert.deepStrictEqual(yield* admin.groupLag("one"), [
            { ...place, committed: 0, end: 3, lag: 3 },
            { topic, partition: 1, committed: undefined, end: 1, lag: undefined }
          ])
          // The log was truncated below the committed offset.
          yield* admin.resetOffsets("one", [{ ...place, to: Position.end }])
          yield* broker.moveLeader(topic, 0, 1, { truncateTo: 1 })
          assert.deepInclude((yield* admin.groupLag("one"))[0], { committed: 3, end: 1, lag: 0 })
          // A broker may still have offsets of a topic that was deleted.
          yield* TestClock.adjust("1 minutes")
          assert.deepStrictEqual(yield* admin.groupLag("one"), [])
          assert.strictEqual(faults.length, 1)
          yield* broker.deleteTopic(topic)
          assert.strictEqual((yield* Effect.flip(admin.groupLag("never"))).reason, "UnknownGroup")
          assert.deepStrictEqual(yield* admin.groupLag("one"), [])
        }),
      {
        rules: [
          {
            ...answer(KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "Metadata"),
            topics: [topic],
            from: "30 seconds"
          }
        ]
      }
    )
  )
})
