import { assert, it } from "@effect/vitest"
import * as Codec from "@spillway/transport/Codec"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { describeKafka, uniqueName } from "../../../../scripts/kafka/testing.js"
import * as KafkaConsumer from "../../src/KafkaConsumer.js"
import * as ConsumerGroupMember from "../support/consumerGroupMember.js"
import * as Fixture from "../support/fixture.js"

describeKafka("A consumer in a group with members of the new protocol", (brokers) => {
  it.scopedLive("keeps its partitions when two of them leave at nearly the same moment", () =>
    Fixture.run(brokers, (journal) =>
      Effect.gen(function* () {
        const groupId = uniqueName("group")
        const [partitions, count] = [6, 600]
        const topic = yield* Fixture.createTopic(partitions)
        const handled = Fixture.tally()
        const consumer = yield* KafkaConsumer.make({
          groupId,
          topics: [topic],
          value: Codec.text,
          handler: (envelope) => Effect.map(Effect.sleep("10 millis"), () => handled.add(envelope)),
          deadLetter: DeadLetter.none("stop"),
          commitInterval: "200 millis"
        })
        const members = yield* Effect.replicateEffect(ConsumerGroupMember.join(brokers, groupId, topic), 2)
        const until = (is: Effect.Effect<boolean>) =>
          Effect.repeat(is, { schedule: Schedule.spaced("50 millis"), until: (done) => done })
        yield* until(
          Effect.map(
            consumer.assignment,
            (own) => own.length === 2 && members.every(({ owned }) => owned().length === 2)
          )
        ).pipe(Fixture.within("each has two partitions"))
        const own = (yield* consumer.assignment).map(({ partition }) => partition)
        yield* Fixture.produce(topic, partitions, count)
        yield* handled.reaches(20)
        yield* Effect.all(
          members.map(({ leave }) => leave),
          { concurrency: "unbounded" }
        )
        yield* handled.reaches(count)
        assert.strictEqual((yield* consumer.assignment).length, partitions)
        assert.strictEqual(handled.duplicates(), 0)
        assert.strictEqual(own.length, 2)
        yield* consumer.close
        assert.isFalse(journal.entries.some(({ message }) => message.includes("membership was lost")))
        assert.deepStrictEqual(yield* Fixture.committedOffsets(groupId), Fixture.endOf(topic, partitions, count))
      })
    )
  )
})
