import { assert, it } from "@effect/vitest"
import * as Codec from "@spillway/transport/Codec"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import * as Effect from "effect/Effect"
import { describeKafka, uniqueName } from "../../../../scripts/kafka/testing.js"
import * as KafkaConsumer from "../../src/KafkaConsumer.js"
import * as KafkaProducer from "../../src/KafkaProducer.js"
import type { GroupMember } from "../../src/Transaction.js"
import * as Fixture from "../support/fixture.js"

const to = (topic: string, value: string) => ({ topic, partition: 0, value })

/** A `read_committed` consumer, and the records that it read. */
const reading = Effect.fnUntraced(function* (topic: string) {
  const handled = Fixture.tally()
  const values: Array<string> = []
  yield* KafkaConsumer.make({
    groupId: uniqueName("group"),
    topics: [topic],
    value: Codec.text,
    handler: (envelope) =>
      Effect.sync(() => {
        values.push(envelope.value)
        handled.add(envelope)
      }),
    deadLetter: DeadLetter.none("stop")
  })
  return { values, handled }
})

describeKafka("Transaction", (brokers) => {
  it.scopedLive("commits, aborts, is fenced and times out like the memory broker's", () =>
    Fixture.run(brokers, () =>
      Effect.gen(function* () {
        const topic = yield* Fixture.createTopic(2)
        const groupId = uniqueName("group")
        const outsider: GroupMember = { groupId, generationId: -1, memberId: "", groupInstanceId: null }
        const transactionalId = uniqueName("tx")
        const zombie = yield* KafkaProducer.makeTransactional({ transactionalId })
        const failing = (value: string) =>
          Effect.exit(
            zombie.transaction((transaction) => Effect.zipRight(transaction.send(to(topic, value)), Effect.fail("no")))
          )
        yield* failing("aborted first")
        yield* zombie.transaction((transaction) =>
          Effect.all([
            transaction.sendAll([to(topic, "a"), to(topic, "b")]),
            transaction.sendOffsets([{ topic, partition: 1, offset: 42, metadata: "mine" }], outsider)
          ])
        )
        yield* failing("aborted between")
        yield* zombie.transaction((transaction) => transaction.send(to(topic, "c")))

        const fenced = yield* Effect.flip(
          zombie.transaction((transaction) =>
            Effect.gen(function* () {
              yield* transaction.send(to(topic, "zombie"))
              const successor = yield* KafkaProducer.makeTransactional({ transactionalId })
              yield* successor.transaction((transaction) => transaction.send(to(topic, "d")))
            })
          )
        )
        assert.deepStrictEqual([fenced._tag, "reason" in fenced && fenced.reason], ["TransactionError", "Fenced"])

        const slow = yield* KafkaProducer.makeTransactional({
          transactionalId: uniqueName("tx"),
          transactionTimeout: "100 millis"
        })
        const late = yield* Effect.flip(
          slow.transaction((transaction) =>
            Effect.zipRight(
              transaction.send(to(topic, "late")),
              // Waits until the coordinator has aborted it.
              Effect.repeat(transaction.send(to(topic, "later")), { until: () => false })
            )
          )
        )
        assert.strictEqual(late._tag, "ProducerError")
        yield* slow.transaction((transaction) => transaction.send(to(topic, "e")))

        const { handled, values } = yield* reading(topic)
        yield* handled.reaches(5)
        assert.deepStrictEqual(values, ["a", "b", "c", "d", "e"])
        assert.deepStrictEqual(yield* Fixture.committedOffsets(groupId), [{ topic, partition: 1, offset: 42 }])
      })
    )
  )
})
