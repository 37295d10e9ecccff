import { assert, describe, it } from "@effect/vitest"
import * as KafkaAdmin from "@spillway/kafka/KafkaAdmin"
import { KafkaErrorCode } from "@spillway/kafka/KafkaErrorCode"
import * as Faults from "@spillway/memory/Faults"
import * as MemoryBroker from "@spillway/memory/MemoryBroker"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import { administer } from "./administer.js"

describe("KafkaAdmin: topics", () => {
  it.effect("creates topics with their partitions, usable at once, and deletes them", () =>
    administer(({ admin, broker }) =>
      Effect.gen(function* () {
        yield* admin.createTopics([{ topic: "one" }, { topic: "three", partitions: 3 }])
        const [landed] = yield* broker.produce("three", [{ value: "a", partition: 2 }])
        assert.strictEqual(landed!.partition, 2)
        yield* admin.deleteTopics(["three"])
        const error = yield* Effect.flip(broker.produce("three", [{ value: "a" }]))
        assert.strictEqual(error.reason, "UNKNOWN_TOPIC_OR_PARTITION")
        assert.strictEqual((yield* broker.produce("one", [{ value: "a" }])).length, 1)
        yield* admin.createTopics([])
      })
    )
  )

  it.effect("lists every topic that fails, and carries out the others", () =>
    administer(({ admin, broker }) =>
      Effect.gen(function* () {
        yield* broker.createTopic("existing")
        const failed = yield* Effect.flip(
          admin.createTopics([{ topic: "not a name" }, { topic: "new" }, { topic: "existing" }])
        )
        assert.deepStrictEqual(
          failed.failures.map(({ reason, topic }) => [reason, topic]),
          [
            ["InvalidTopic", "not a name"],
            ["TopicAlreadyExists", "existing"]
          ]
        )
        assert.strictEqual(failed.reason, "InvalidTopic")
        assert.include(failed.message, "TopicAlreadyExists: existing")
        assert.strictEqual((yield* broker.produce("new", [{ value: "a" }])).length, 1)
        const deletion = yield* Effect.flip(admin.deleteTopics(["missing", "new"]))
        assert.deepStrictEqual(
          deletion.failures.map(({ reason, topic }) => [reason, topic]),
          [["UnknownTopic", "missing"]]
        )
        assert.deepStrictEqual(
          (yield* admin.listTopics()).map(({ topic }) => topic),
          ["existing"]
        )
        const unknown = yield* Effect.flip(admin.describeTopics(["existing", "new"]))
        assert.deepStrictEqual(
          unknown.failures.map(({ reason, topic }) => [reason, topic]),
          [["UnknownTopic", "new"]]
        )
      })
    )
  )

  it.effect("creates missing topics, and leaves existing ones unchanged", () =>
    administer(({ admin, broker }) =>
      Effect.gen(function* () {
        yield* broker.createTopic("existing", 2)
        yield* admin.ensureTopics([
          { topic: "existing", partitions: 5 },
          { topic: "new", partitions: 2 }
        ])
        const described = yield* admin.describeTopics(["new", "existing"])
        assert.deepStrictEqual(
          described.map(({ partitions, topic }) => [topic, partitions.length]),
          [
            ["new", 2],
            ["existing", 2]
          ]
        )
      })
    )
  )

  it.effect("describes leaders and replicas, also while a partition has no leader", () =>
    administer(
      ({ admin, broker }) =>
        Effect.gen(function* () {
          yield* broker.createTopic("orders", 3)
          yield* broker.moveLeader("orders", 1, 1)
          yield* broker.stopNode(3)
          const [described] = yield* admin.describeTopics(["orders"])
          assert.deepStrictEqual(described!.partitions[1], {
            partition: 1,
            leader: 1,
            leaderEpoch: 1,
            replicas: [1, 2, 3],
            isr: [1, 2]
          })
          yield* broker.moveLeader("orders", 0, -1)
          const [leaderless] = yield* admin.describeTopics(["orders"])
          assert.isUndefined(leaderless!.partitions[0]!.leader)
        }),
      { broker: { nodes: 3 } }
    )
  )

  it.effect("fails for arguments that aren't arrays, without a type that says so", () =>
    administer(({ admin }) =>
      Effect.gen(function* () {
        const untyped = admin as unknown as Record<string, (...args: ReadonlyArray<unknown>) => Effect.Effect<unknown>>
        const operations: ReadonlyArray<readonly [name: string, ...before: ReadonlyArray<string>]> = [
          ["describeTopics"],
          ["createTopics"],
          ["ensureTopics"],
          ["deleteTopics"],
          ["createPartitions"],
          ["describeConfigs"],
          ["alterConfigs"],
          ["listOffsets"],
          ["deleteRecords"],
          ["describeGroups"],
          ["deleteGroups"],
          ["resetOffsets", "billing"],
          ["deleteOffsets", "billing"]
        ]
        for (const [name, ...before] of operations) {
          for (const wrong of [undefined, null, 5, "orders", {}, [null]]) {
            const error = yield* Effect.flip(untyped[name]!(...before, wrong))
            assert.include(String(error), "InvalidArgument", `${name}(${wrong})`)
            assert.include(String(error), "must be an array", `${name}(${wrong})`)
          }
        }
      })
    )
  )

  it.effect("fails for arguments that no cluster accepts, all at once", () =>
    administer(({ admin, faults }) =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(
          admin.createTopics(
            [
              { topic: "" },
              { topic: "a", partitions: 0 },
              { topic: "a", replicationFactor: 1.5, configs: { "retention.ms": 1 as never } }
            ],
            { timeout: -1 }
          )
        )
        assert.deepStrictEqual(
          error.failures.map(({ field, reason, topic }) => [reason, topic, field]),
          [
            ["InvalidArgument", undefined, "topics"],
            ["InvalidArgument", undefined, "topics"],
            ["InvalidArgument", "a", "partitions"],
            ["InvalidArgument", "a", "replicationFactor"],
            ["InvalidArgument", "a", "configs.retention.ms"],
            ["InvalidArgument", undefined, "timeout"]
          ]
        )
        assert.include(error.message, "partitions: must be an integer between 1 and 2147483647, not 0")
        assert.strictEqual(faults.length, 0)
        const invalid = yield* Effect.flip(Effect.scoped(KafkaAdmin.make({ timeout: "0 millis" })))
        assert.strictEqual(invalid.module, "KafkaAdmin")
        assert.deepStrictEqual(
          invalid.issues.map(({ field }) => field),
          ["timeout"]
        )
      })
    )
  )

  it.effect("retries while the controller moves, a node is down, or a response is lost", () =>
    administer(
      ({ admin, broker, faults }) =>
        Effect.gen(function* () {
          yield* broker.stop
          const created = yield* Effect.fork(admin.ensureTopics([{ topic: "late" }]))
          yield* TestClock.adjust("3 seconds")
          assert.isNull(created.unsafePoll())
          yield* broker.start
          yield* TestClock.adjust("5 seconds")
          yield* Fiber.join(created)
          assert.deepStrictEqual(
            faults.map(({ fault }) => fault._tag),
            ["Answer", "Answer", "Disconnect"]
          )
          assert.strictEqual((yield* broker.produce("late", [{ value: "a" }])).length, 1)
        }),
      {
        rules: [
          {
            fault: { _tag: "Answer", code: KafkaErrorCode.NOT_CONTROLLER, when: "instead" },
            apis: ["CreateTopics"],
            times: 2
          },
          { fault: { _tag: "Disconnect", when: "after" }, apis: ["CreateTopics"], times: 1 }
        ]
      }
    )
  )

  it.effect("does not repeat a creation whose response was lost", () =>
    administer(
      ({ admin, faults }) =>
        Effect.gen(function* () {
          const error = yield* Effect.flip(admin.createTopics([{ topic: "in doubt" }, { topic: "other" }]))
          assert.deepStrictEqual(
            error.failures.map(({ reason, topic }) => [reason, topic]),
            [
              ["Disconnected", "in doubt"],
              ["Disconnected", "other"]
            ]
          )
          assert.strictEqual(faults.length, 1)
        }),
      { rules: [{ fault: { _tag: "Disconnect", when: "after" }, apis: ["CreateTopics"] }] }
    )
  )

  it.effect("gives up at its timeout, with the last failure", () =>
    administer(
      ({ admin }) =>
        Effect.gen(function* () {
          const failed = yield* Effect.fork(
            Effect.flip(admin.createTopics([{ topic: "late" }], { timeout: "2 seconds" }))
          )
          yield* TestClock.adjust("1999 millis")
          assert.isNull(failed.unsafePoll())
          yield* TestClock.adjust("1 millis")
          const error = yield* Fiber.join(failed)
          assert.strictEqual(error.reason, "Timeout")
          assert.strictEqual(error.topic, "late")
          assert.include(error.description, "not done within 2000 ms: the broker answered NOT_CONTROLLER")
        }),
      {
        rules: [
          {
            fault: { _tag: "Answer", code: KafkaErrorCode.NOT_CONTROLLER, when: "instead" },
            apis: ["CreateTopics"]
          }
        ]
      }
    )
  )

  it.effect("fails at once when the credentials or the topic are refused", () =>
    administer(
      ({ admin }) =>
        Effect.gen(function* () {
          const error = yield* Effect.flip(admin.deleteTopics(["orders"]))
          assert.strictEqual(error.reason, "Authorization")
        }),
      {
        rules: [
          {
            fault: { _tag: "Answer", code: KafkaErrorCode.TOPIC_AUTHORIZATION_FAILED, when: "instead" },
            apis: ["DeleteTopics"]
          }
        ]
      }
    )
  )

  it.effect("ensures topics as a Layer, for a program's start", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.MemoryBroker
      const program = Effect.provide(
        broker.produce("orders", [{ value: "a", partition: 2 }]),
        KafkaAdmin.ensureTopics([{ topic: "orders", partitions: 3 }])
      )
      assert.strictEqual((yield* program).length, 1)
      assert.strictEqual((yield* program).length, 1)
      const failing = KafkaAdmin.ensureTopics([{ topic: "not a name" }])
      assert.strictEqual((yield* Effect.flip(Effect.scoped(Layer.build(failing)))).reason, "InvalidTopic")
    }).pipe(Effect.provide(MemoryBroker.layer()))
  )

  it.effect("serves as a Layer", () =>
    Effect.gen(function* () {
      const admin = yield* KafkaAdmin.KafkaAdmin
      yield* admin.createTopics([{ topic: "a" }])
      assert.strictEqual((yield* admin.listTopics()).length, 1)
    }).pipe(
      Effect.provide(KafkaAdmin.layer()),
      Effect.provide(Faults.layer({ seed: 1, rules: [] })),
      Effect.provide(MemoryBroker.layer())
    )
  )
})
