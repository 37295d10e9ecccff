import { assert, describe, it } from "@effect/vitest"
import * as KafkaAdmin from "@spillway/kafka/KafkaAdmin"
import { KafkaErrorCode } from "@spillway/kafka/KafkaErrorCode"
import type { Request } from "@spillway/kafka/Protocol"
import { Wire } from "@spillway/kafka/Wire"
import * as MemoryBroker from "@spillway/memory/MemoryBroker"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"

const broker = MemoryBroker.layer({ topics: { existing: 2 } })

describe("KafkaAdmin", () => {
  it.effect("creates topics with their partitions, usable at once, and deletes them", () =>
    Effect.gen(function* () {
      const memory = yield* MemoryBroker.MemoryBroker
      yield* KafkaAdmin.createTopics([{ topic: "one" }, { topic: "three", partitions: 3 }])
      const [landed] = yield* memory.produce("three", [{ value: "a", partition: 2 }])
      assert.strictEqual(landed!.partition, 2)
      yield* KafkaAdmin.deleteTopics(["three"])
      const error = yield* Effect.flip(memory.produce("three", [{ value: "a" }]))
      assert.strictEqual(error.reason, "UNKNOWN_TOPIC_OR_PARTITION")
      assert.strictEqual((yield* memory.produce("one", [{ value: "a" }])).length, 1)
      yield* KafkaAdmin.createTopics([])
    }).pipe(Effect.provide(broker))
  )

  it.effect("names the topic it fails for, and creates the others", () =>
    Effect.gen(function* () {
      const memory = yield* MemoryBroker.MemoryBroker
      const exists = yield* Effect.flip(KafkaAdmin.createTopics([{ topic: "existing" }, { topic: "new" }]))
      assert.strictEqual(exists.reason, "TopicAlreadyExists")
      assert.strictEqual(exists.topic, "existing")
      assert.strictEqual((yield* memory.produce("new", [{ value: "a" }])).length, 1)
      const unknown = yield* Effect.flip(KafkaAdmin.deleteTopics(["missing"]))
      assert.strictEqual(unknown.reason, "UnknownTopic")
      const invalid = yield* Effect.flip(KafkaAdmin.createTopics([{ topic: "not a name" }]))
      assert.strictEqual(invalid.reason, "InvalidTopic")
      const partitions = yield* Effect.flip(KafkaAdmin.createTopics([{ topic: "none", partitions: 0 }]))
      assert.strictEqual(partitions.reason, "InvalidConfiguration")
    }).pipe(Effect.provide(broker))
  )

  it.effect("creates missing topics, and leaves existing ones unchanged", () =>
    Effect.gen(function* () {
      const memory = yield* MemoryBroker.MemoryBroker
      yield* KafkaAdmin.ensureTopics([
        { topic: "existing", partitions: 5 },
        { topic: "new", partitions: 2 }
      ])
      assert.strictEqual((yield* memory.produce("new", [{ value: "a", partition: 1 }])).length, 1)
      const error = yield* Effect.flip(memory.produce("existing", [{ value: "a", partition: 2 }]))
      assert.strictEqual(error.partition, 2)
    }).pipe(Effect.provide(broker))
  )

  it.effect("retries while the controller isn't ready or no broker can be reached", () =>
    Effect.gen(function* () {
      const memory = yield* MemoryBroker.MemoryBroker
      let refusals = 2
      const moving = Wire.of({
        bootstrap: memory.wire.bootstrap,
        connect: (endpoint, role) =>
          Effect.map(memory.wire.connect(endpoint, role), (connection) => ({
            closed: connection.closed,
            request: (api, request) =>
              api === "CreateTopics" && refusals-- > 0
                ? (Effect.succeed({
                    topics: (request as Request<"CreateTopics">).topics.map(({ topic }) => ({
                      topic,
                      errorCode: KafkaErrorCode.NOT_CONTROLLER,
                      errorMessage: null
                    }))
                  }) as unknown as ReturnType<typeof connection.request<typeof api>>)
                : connection.request(api, request)
          }))
      })
      yield* memory.stop
      const created = yield* Effect.fork(
        Effect.provideService(KafkaAdmin.createTopics([{ topic: "late" }]), Wire, moving)
      )
      yield* TestClock.adjust("3 seconds")
      assert.isNull(created.unsafePoll())
      yield* memory.start
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(created)
      assert.strictEqual((yield* memory.produce("late", [{ value: "a" }])).length, 1)
    }).pipe(Effect.provide(broker))
  )

  it.effect("gives up at its timeout", () =>
    Effect.gen(function* () {
      const memory = yield* MemoryBroker.MemoryBroker
      yield* memory.stop
      const failed = yield* Effect.fork(
        Effect.flip(KafkaAdmin.createTopics([{ topic: "late" }], { timeout: "2 seconds" }))
      )
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* Fiber.join(failed)).reason, "Timeout")
    }).pipe(Effect.provide(broker))
  )
})
