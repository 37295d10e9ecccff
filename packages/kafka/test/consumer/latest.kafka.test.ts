import { afterAll, assert, beforeAll, it } from "@effect/vitest"
import * as Codec from "@spillway/transport/Codec"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import { describeKafka, uniqueName } from "../../../../scripts/kafka/testing.js"
import * as Cluster from "../../src/internal/cluster/cluster.js"
import * as KafkaConsumer from "../../src/KafkaConsumer.js"
import { withAdmin } from "../support/admin.js"
import * as Fixture from "../support/fixture.js"
import * as JavaMembers from "../support/javaMembers.js"

/** Ends when the brokers' metadata has the topic's partitions. */
const addPartitions = (brokers: string, topic: string, count: number) =>
  Effect.zipRight(
    withAdmin(brokers, (admin) =>
      Effect.promise(() => admin.createPartitions({ topicPartitions: [{ topic, count }] }))
    ),
    Effect.scoped(
      Effect.flatMap(Cluster.make, (cluster) =>
        Effect.retry(
          Effect.filterOrFail(cluster.refresh([topic]), ([found]) => found?.partitions.length === count),
          Schedule.spaced("20 millis")
        )
      )
    )
  )

describeKafka("initialOffset latest on Kafka", (brokers) => {
  const scope = Effect.runSync(Scope.make())
  let java: JavaMembers.JavaMembers
  beforeAll(async () => {
    java = await Effect.runPromise(Scope.extend(JavaMembers.make(brokers), scope))
  })
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

  const member = (groupId: string, topic: string, values: Array<string>, handled: Fixture.Tally) =>
    KafkaConsumer.make({
      groupId,
      topics: [topic],
      initialOffset: "latest",
      metadataMaxAge: "1 hour",
      heartbeatInterval: "300 millis",
      commitInterval: "200 millis",
      value: Codec.text,
      handler: (envelope) =>
        Effect.sync(() => {
          values.push(envelope.value)
          handled.add(envelope)
        }),
      deadLetter: DeadLetter.none("stop")
    })

  const numbers = (from: number, count: number) => Array.from({ length: count }, (_, i) => String(from + i))

  it.scopedLive("reads the records of a partition that was added before another member started", () =>
    Fixture.run(brokers, () =>
      Effect.gen(function* () {
        const groupId = uniqueName("group")
        const topic = yield* Fixture.createTopic(1)
        const values: Array<string> = []
        const handled = Fixture.tally()
        yield* Fixture.produce(topic, 1, 3)
        yield* member(groupId, topic, values, handled)
        yield* addPartitions(brokers, topic, 3)
        yield* Fixture.produce(topic, 3, 9, 100)
        yield* member(groupId, topic, values, handled)
        yield* handled.reaches(9)
        assert.sameMembers(values, numbers(100, 9))
      })
    )
  )

  it.scopedLive(
    "reads no earlier record when Java's consumer joins, and every later one",
    () =>
      Fixture.run(brokers, () =>
        Effect.gen(function* () {
          const groupId = uniqueName("group")
          const topic = yield* Fixture.createTopic(4)
          const values: Array<string> = []
          const handled = Fixture.tally()
          yield* Fixture.produce(topic, 4, 12)
          yield* member(groupId, topic, values, handled)
          const other = yield* java.start(groupId, topic, "cooperative-sticky")
          yield* other.until("Java owns 2", () => other.owned().length === 2)
          const third = yield* Effect.fork(member(groupId, topic, values, handled))
          yield* Fixture.within("the third member")(Fiber.join(third))
          yield* Fixture.produce(topic, 4, 40, 100)
          yield* other
            .until("all is handled", () => other.handled().length + handled.times.size >= 40)
            .pipe(
              Effect.race(
                Effect.repeat(Effect.sleep("50 millis"), {
                  until: () => other.handled().length + handled.times.size >= 40
                })
              )
            )
          assert.strictEqual(other.handled().length + handled.times.size, 40)
          assert.isTrue(values.every((value) => Number(value) >= 100))
          assert.isTrue(other.handled().every(({ offset }) => offset >= 3))
        })
      ),
    90_000
  )
})
