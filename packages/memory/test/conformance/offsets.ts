/**
 * Offsets that groups commit.
 */
import { assert } from "@effect/vitest"
import { KafkaErrorCode } from "@spillway/kafka/KafkaErrorCode"
import type { OffsetCommitRequest } from "@spillway/kafka/Protocol"
import * as Effect from "effect/Effect"
import { createTopic, member, openSession, type Suite } from "./harness.js"

const { NONE, UNKNOWN_MEMBER_ID, UNKNOWN_TOPIC_OR_PARTITION } = KafkaErrorCode

export const offsets = ({ test }: Suite): void => {
  test("a consumer without membership commits to an empty group", (harness) =>
    Effect.gen(function* () {
      const topic = yield* createTopic(harness, yield* openSession(harness), 2)
      const groupId = harness.unique("group")
      const one = yield* member(harness, groupId)
      const commit = (overrides: Partial<OffsetCommitRequest>) =>
        Effect.map(
          one.connection.request("OffsetCommit", {
            groupId,
            generationId: -1,
            memberId: "",
            groupInstanceId: null,
            topics: [
              {
                topic,
                partitions: [
                  { partition: 1, offset: 42, metadata: "mine" },
                  { partition: 5, offset: 42, metadata: null }
                ]
              }
            ],
            ...overrides
          }),
          ({ topics }) =>
            topics
              .flatMap(({ partitions }) => partitions)
              .sort((one, other) => one.partition - other.partition)
              .map(({ errorCode }) => errorCode)
        )
      const fetch = (
        topics: ReadonlyArray<{ readonly topic: string; readonly partitions: ReadonlyArray<number> }> | null
      ) =>
        Effect.map(one.connection.request("OffsetFetch", { groupId, topics }), ({ topics }) =>
          topics.flatMap(({ partitions, topic }) =>
            partitions.map(({ errorCode, metadata, offset, partition }) => [
              topic,
              partition,
              errorCode,
              offset,
              metadata
            ])
          )
        )
      const nothing = [
        [topic, 0, NONE, -1, ""],
        [topic, 1, NONE, -1, ""]
      ]
      assert.sameDeepMembers(yield* fetch([{ topic, partitions: [0, 1] }]), nothing)
      assert.deepStrictEqual(yield* fetch(null), [])
      assert.deepStrictEqual(yield* commit({}), [NONE, UNKNOWN_TOPIC_OR_PARTITION])
      assert.sameDeepMembers(yield* fetch([{ topic, partitions: [0, 1] }]), [
        [topic, 0, NONE, -1, ""],
        [topic, 1, NONE, 42, "mine"]
      ])
      assert.deepStrictEqual(yield* fetch(null), [[topic, 1, NONE, 42, "mine"]])
      const unknown = `${topic}-unknown`
      const topics = [{ topic: unknown, partitions: [{ partition: 0, offset: 1, metadata: null }] }]
      assert.deepStrictEqual(yield* commit({ topics }), [UNKNOWN_TOPIC_OR_PARTITION])
      assert.deepStrictEqual(yield* fetch([{ topic: unknown, partitions: [0] }]), [[unknown, 0, NONE, -1, ""]])
      const big = [{ topic, partitions: [{ partition: 0, offset: 1, metadata: "x".repeat(4_097) }] }]
      assert.deepStrictEqual(yield* commit({ topics: big }), [KafkaErrorCode.OFFSET_METADATA_TOO_LARGE])

      yield* one.join
      assert.deepStrictEqual(yield* commit({}), [UNKNOWN_MEMBER_ID, UNKNOWN_TOPIC_OR_PARTITION])
    }))

  test("offsets outlive the members, may move back, and belong to the group that commits them", (harness) =>
    Effect.gen(function* () {
      const session = yield* openSession(harness)
      const topic = yield* createTopic(harness, session)
      const other = yield* createTopic(harness, session)
      const groupId = harness.unique("group")
      const one = yield* member(harness, groupId)
      const { generationId } = yield* one.join
      yield* one.sync(generationId, { [one.id()]: 1 })
      assert.strictEqual(yield* one.commit(generationId, topic, 10), NONE)
      assert.strictEqual(yield* one.commit(generationId, topic, 4), NONE)
      assert.strictEqual(yield* one.commit(generationId, other, 7), NONE)
      assert.strictEqual(yield* one.leave, NONE)
      const { errorCode, topics } = yield* one.connection.request("OffsetFetch", { groupId, topics: null })
      assert.strictEqual(errorCode, NONE)
      assert.sameDeepMembers(
        topics.map(({ partitions, topic }) => [topic, partitions[0]?.offset]),
        [
          [topic, 4],
          [other, 7]
        ]
      )
      const next = yield* member(harness, groupId)
      // The generation after the empty one.
      assert.strictEqual((yield* next.join).generationId, generationId + 2)
    }))
}
