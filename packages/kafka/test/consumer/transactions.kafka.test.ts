import { assert, it } from "@effect/vitest"
import * as Codec from "@spillway/transport/Codec"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import * as Effect from "effect/Effect"
import { describeKafka, uniqueName } from "../../../../scripts/kafka/testing.js"
import * as KafkaConsumer from "../../src/KafkaConsumer.js"
import * as Fixture from "../support/fixture.js"
import * as JavaClient from "../support/javaClient.js"

describeKafka("Transactions of Kafka's Java producer", (brokers) => {
  it.scopedLive(
    "are delivered if committed, in the log's order, and not if aborted",
    () =>
      Fixture.run(brokers, () =>
        Effect.gen(function* () {
          const topic = yield* Fixture.createTopic(1)
          const java = yield* JavaClient.make(brokers)
          const [one, two] = [uniqueName("one"), uniqueName("two")]
          const put = (id: string, ...values: ReadonlyArray<string>) =>
            Effect.forEach(values, (value) => java.ask("put", id, topic, 0, value), { discard: true })

          yield* java.ask("begin", one)
          yield* java.ask("begin", two)
          yield* put(one, "a")
          yield* put(two, "b")
          yield* put(one, "c")
          yield* java.ask("abort", one)
          yield* put(two, "d")
          yield* java.ask("commit", two)
          yield* java.ask("begin", one)
          yield* put(one, "e")
          // Held back by the transaction that is still open before it.
          yield* Fixture.produce(topic, 1, 1)

          const consuming = (
            options: Pick<
              KafkaConsumer.KafkaConsumerOptions<string, never, never, never>,
              "initialOffset" | "isolationLevel"
            >
          ) =>
            Effect.gen(function* () {
              const handled = Fixture.tally()
              const values: Array<string> = []
              const groupId = uniqueName("group")
              const consumer = yield* KafkaConsumer.make({
                ...options,
                groupId,
                topics: [topic],
                value: Codec.text,
                handler: (envelope) =>
                  Effect.sync(() => {
                    values.push(envelope.value)
                    handled.add(envelope)
                  }),
                deadLetter: DeadLetter.none("stop")
              })
              return { consumer, groupId, handled, values }
            })

          const all = yield* consuming({ isolationLevel: "read_uncommitted" })
          yield* all.handled.reaches(6)
          assert.deepStrictEqual(all.values, ["a", "b", "c", "d", "e", "0"])

          const committed = yield* consuming({})
          const latest = yield* consuming({ initialOffset: "latest" })
          yield* committed.handled.reaches(2)
          yield* java.ask("commit", one)
          yield* committed.handled.reaches(4)
          assert.deepStrictEqual(committed.values, ["b", "d", "e", "0"])
          // For `read_committed`, the log ended before the open transaction.
          yield* latest.handled.reaches(2)
          assert.deepStrictEqual(latest.values, ["e", "0"])

          yield* java.ask("begin", two)
          yield* put(two, "f", "g")
          yield* java.ask("abort", two)
          yield* Fixture.produce(topic, 1, 1, 1)
          yield* committed.handled.reaches(5)
          assert.deepStrictEqual(committed.values, ["b", "d", "e", "0", "1"])
          const report = yield* committed.consumer.close
          // 9 records and the markers of 4 transactions.
          assert.deepStrictEqual(report.committed, [{ topic, partition: 0, offset: 13 }])
          assert.deepStrictEqual(yield* Fixture.committedOffsets(committed.groupId), report.committed)
        })
      ),
    60_000
  )
})
