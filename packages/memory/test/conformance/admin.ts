/**
 * Administration of a cluster, with `KafkaAdmin`.
 */
import { assert } from "@effect/vitest"
import * as KafkaAdmin from "@spillway/kafka/KafkaAdmin"
import { Wire } from "@spillway/kafka/Wire"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Harness, Suite } from "./harness.js"

export type Admin = Context.Tag.Service<KafkaAdmin.KafkaAdmin>

/** The failed items, each as its reason and the place that it names. */
export const failuresOf = <A>(effect: Effect.Effect<A, KafkaAdmin.KafkaAdminError>) =>
  Effect.map(Effect.flip(effect), ({ failures }) => failures.map(({ reason, topic }) => [reason, topic]))

/** Declares a test that gets an admin client. */
export const withAdmin =
  ({ test }: Suite) =>
  (name: string, body: (admin: Admin, harness: Harness) => Effect.Effect<void, unknown, Scope.Scope>): void =>
    test(name, (harness) =>
      Effect.gen(function* () {
        const { wire } = yield* harness.client
        yield* body(yield* Effect.provideService(KafkaAdmin.make(), Wire, wire), harness)
      })
    )

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
        yield* failuresOf(admin.createTopics([{ topic: "not a name" }, { topic: created }, { topic: existing }])),
        [
          ["InvalidTopic", "not a name"],
          ["TopicAlreadyExists", existing]
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
}
