/**
 * Administration of groups and their offsets, with `KafkaAdmin`.
 */
import { assert } from "@effect/vitest"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import { KafkaErrorCode } from "@spillway/kafka/KafkaErrorCode"
import { Wire } from "@spillway/kafka/Wire"
import * as Codec from "@spillway/transport/Codec"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import * as Position from "@spillway/transport/Position"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Scope from "effect/Scope"
import { type Admin, failuresOf, fill, firstTimestamp, withAdmin } from "./adminSupport.js"
import { eventually, type Harness, member, type Suite } from "./harness.js"

const count = 10

/** Awaits an effect. A virtual clock is advanced meanwhile; a real one advances while the broker is asked. */
const inTime = <A, E>(admin: Admin, harness: Harness, effect: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(effect)
    yield* eventually(
      Effect.zipRight(harness.elapse("50 millis"), admin.listTopics()),
      () => fiber.unsafePoll() !== null
    )
    return yield* Fiber.join(fiber)
  })

/** A consumer that handles a topic's records until it is stopped. */
const consume = (admin: Admin, harness: Harness, groupId: string, topic: string) =>
  Effect.gen(function* () {
    const { wire } = yield* harness.client
    const scope = yield* Scope.fork(yield* Effect.scope, ExecutionStrategy.sequential)
    const made = KafkaConsumer.make({
      groupId,
      topics: [topic],
      value: Codec.bytes,
      deadLetter: DeadLetter.none("stop"),
      handler: () => Effect.void
    }).pipe(Effect.provideService(Wire, wire), Scope.extend(scope))
    yield* inTime(admin, harness, made)
    return { stop: inTime(admin, harness, Scope.close(scope, Exit.void)) }
  })

/** Waits for a group's members to have a number of partitions. */
const assigned = (admin: Admin, harness: Harness, groupId: string, partitions: number) =>
  eventually(
    Effect.zipRight(harness.elapse("100 millis"), Effect.either(admin.describeGroups([groupId]))),
    (found) =>
      found._tag === "Right" &&
      found.right[0]!.state === "Stable" &&
      found.right[0]!.members.flatMap(({ assignment = [] }) => assignment).length === partitions
  )

export const adminGroups = (suite: Suite): void => {
  const test = withAdmin(suite)

  const onTopic = (
    name: string,
    body: (admin: Admin, harness: Harness, topic: string, groupId: string) => Effect.Effect<void, unknown, Scope.Scope>
  ) =>
    test(name, (admin, harness) =>
      Effect.gen(function* () {
        const topic = harness.unique("topic")
        yield* admin.createTopics([{ topic, partitions: 2 }])
        yield* fill(harness, topic, count)
        yield* body(admin, harness, topic, harness.unique("group"))
      }).pipe(Effect.provide(Logger.remove(Logger.defaultLogger)))
    )

  onTopic("an admin client describes a group of consumers, its offsets and its lag", (admin, harness, topic, groupId) =>
    Effect.gen(function* () {
      const consumer = yield* consume(admin, harness, groupId, topic)
      const described = yield* assigned(admin, harness, groupId, 2)
      const [group] = described._tag === "Right" ? described.right : []
      assert.deepInclude(group, { groupId, protocolType: "consumer", protocol: "cooperative-sticky", state: "Stable" })
      const [only] = group!.members
      assert.deepStrictEqual(
        new Set(only!.assignment!.map(({ partition, topic }) => `${topic}/${partition}`)),
        new Set([`${topic}/0`, `${topic}/1`])
      )
      assert.isUndefined(only!.groupInstanceId)
      assert.isTrue(only!.memberId.startsWith(only!.clientId) && only!.clientId !== "")
      assert.match(only!.host, /^\/./)
      assert.include([1, 2, 3], group!.coordinator)
      const listed = yield* admin.listGroups()
      assert.deepStrictEqual(
        listed.filter((one) => one.groupId === groupId),
        [{ groupId, protocolType: "consumer", state: "Stable", type: "classic" }]
      )

      assert.deepStrictEqual(yield* failuresOf(admin.deleteGroups([groupId])), [["GroupNotEmpty", groupId]])
      assert.deepStrictEqual(
        yield* failuresOf(admin.resetOffsets(groupId, [{ topic, partition: 0, to: Position.beginning }])),
        [["GroupNotEmpty", topic, 0]]
      )
      assert.deepStrictEqual(yield* failuresOf(admin.deleteOffsets(groupId, [{ topic, partition: 1 }])), [
        ["GroupSubscribed", topic, 1]
      ])

      yield* consumer.stop
      const place = (partition: number) => ({ topic, partition })
      const offsets = yield* admin.groupOffsets(groupId)
      assert.deepStrictEqual(
        offsets.map(({ offset, partition, topic }) => ({ topic, partition, offset })),
        [0, 1].map((partition) => ({ ...place(partition), offset: count }))
      )
      yield* fill(harness, topic, 1)
      assert.deepStrictEqual(
        yield* admin.groupLag(groupId),
        [0, 1].map((partition) => ({ ...place(partition), committed: count, end: count + 1, lag: 1 }))
      )
      const [empty] = yield* admin.describeGroups([groupId])
      assert.deepInclude(empty, { state: "Empty", protocolType: "consumer", protocol: "", members: [] })
      yield* admin.deleteGroups([groupId])
      assert.deepStrictEqual(yield* admin.groupOffsets(groupId), [])
      assert.deepStrictEqual(yield* failuresOf(admin.describeGroups([groupId])), [["UnknownGroup", groupId]])
      assert.deepStrictEqual(yield* failuresOf(admin.deleteGroups([groupId])), [["UnknownGroup", groupId]])
      assert.deepStrictEqual(yield* failuresOf(admin.groupLag(groupId)), [["UnknownGroup", groupId]])
    })
  )

  onTopic("an admin client describes a group that rebalances", (admin, harness, topic, groupId) =>
    Effect.gen(function* () {
      const joining = yield* member(harness, groupId, { groupInstanceId: "one" })
      const { generationId } = yield* joining.join
      const [completing] = yield* admin.describeGroups([groupId])
      assert.deepInclude(completing, { state: "CompletingRebalance", protocolType: "consumer", protocol: "" })
      assert.deepStrictEqual(
        completing!.members.map(({ assignment, groupInstanceId, memberId }) => [memberId, groupInstanceId, assignment]),
        [[joining.id(), "one", []]]
      )
      yield* joining.sync(generationId, { [joining.id()]: 1 })
      const [stable] = yield* admin.describeGroups([groupId])
      assert.deepInclude(stable, { state: "Stable", protocol: "range" })
      // One byte isn't an assignment.
      assert.isUndefined(stable!.members[0]!.assignment)
      assert.strictEqual(yield* joining.commit(generationId, topic, 3), KafkaErrorCode.NONE)
      // A subscription that can't be read is taken for one to every topic.
      assert.deepStrictEqual(yield* failuresOf(admin.deleteOffsets(groupId, [{ topic, partition: 0 }])), [
        ["GroupSubscribed", topic, 0]
      ])
      assert.deepStrictEqual(yield* admin.groupOffsets(groupId), [
        { topic, partition: 0, offset: 3, leaderEpoch: undefined, metadata: "" }
      ])
    })
  )

  onTopic("an admin client resets and deletes offsets of a group", (admin, harness, topic, groupId) =>
    Effect.gen(function* () {
      const place = (partition: number) => ({ topic, partition })
      const lags = Effect.map(admin.groupLag(groupId), (all) => all.map(({ committed, lag }) => [committed, lag]))
      yield* admin.deleteRecords([{ ...place(0), before: Position.offset(2) }])
      assert.deepStrictEqual(
        yield* admin.resetOffsets(groupId, [
          { ...place(1), to: Position.timestamp(firstTimestamp + 6) },
          { ...place(0), to: Position.beginning }
        ]),
        [
          { ...place(1), offset: 6 },
          { ...place(0), offset: 2 }
        ]
      )
      assert.deepStrictEqual(yield* lags, [
        [2, 8],
        [6, 4]
      ])
      const [group] = yield* admin.describeGroups([groupId])
      assert.deepInclude(group, { state: "Empty", protocolType: "", members: [] })
      assert.deepStrictEqual(
        (yield* admin.listGroups()).filter((one) => one.groupId === groupId),
        [{ groupId, protocolType: "", state: "Empty", type: "classic" }]
      )
      assert.deepStrictEqual(
        yield* failuresOf(
          admin.resetOffsets(groupId, [
            { ...place(0), to: Position.offset(1) },
            { ...place(1), to: Position.offset(11) }
          ])
        ),
        [
          ["OffsetOutOfRange", topic, 0],
          ["OffsetOutOfRange", topic, 1]
        ]
      )
      assert.deepStrictEqual(
        yield* failuresOf(
          admin.resetOffsets(groupId, [
            { ...place(0), to: Position.end },
            { ...place(2), to: Position.end }
          ])
        ),
        [["UnknownPartition", topic, 2]]
      )
      assert.deepStrictEqual(yield* lags, [
        [2, 8],
        [6, 4]
      ])
      yield* admin.resetOffsets(groupId, [{ ...place(0), to: Position.end }])
      yield* admin.deleteOffsets(groupId, [place(1)])
      assert.deepStrictEqual(yield* lags, [
        [count, 0],
        [undefined, undefined]
      ])
      yield* admin.deleteOffsets(groupId, [place(1)])
      assert.deepStrictEqual(
        yield* failuresOf(admin.deleteOffsets(groupId, [place(0), { topic: `${topic}-missing`, partition: 0 }])),
        [["UnknownTopic", `${topic}-missing`, 0]]
      )
      const unknown = harness.unique("unknown")
      assert.deepStrictEqual(yield* failuresOf(admin.deleteOffsets(unknown, [place(0)])), [["UnknownGroup", topic, 0]])
      assert.deepStrictEqual(yield* failuresOf(admin.describeGroups([unknown])), [["UnknownGroup", unknown]])
      assert.deepStrictEqual(yield* admin.groupOffsets(unknown), [])
    })
  )

  onTopic("an admin client lets a group continue where it reset it", (admin, harness, topic, groupId) =>
    Effect.gen(function* () {
      yield* admin.resetOffsets(
        groupId,
        [0, 1].map((partition) => ({ topic, partition, to: Position.offset(7) }))
      )
      const consumer = yield* consume(admin, harness, groupId, topic)
      yield* eventually(Effect.zipRight(harness.elapse("100 millis"), admin.groupLag(groupId)), (lags) =>
        lags.every(({ lag }) => lag === 0)
      )
      yield* consumer.stop
      const transactional = yield* admin.groupLag(groupId, { isolationLevel: "read_uncommitted" })
      assert.deepStrictEqual(
        transactional.map(({ committed, end }) => [committed, end]),
        [
          [count, count],
          [count, count]
        ]
      )
    })
  )
}
