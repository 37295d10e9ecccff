import { assert, it } from "@effect/vitest"
import * as Codec from "@spillway/transport/Codec"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { describeKafka, uniqueName } from "../../../../scripts/kafka/testing.js"
import * as KafkaAdmin from "../../src/KafkaAdmin.js"
import * as KafkaConsumer from "../../src/KafkaConsumer.js"
import * as Fixture from "../support/fixture.js"

describeKafka("A topic that is deleted and created again on Kafka", (brokers) => {
  it.scopedLive("is read from its start, each record once, by every member", () =>
    Fixture.run(brokers, (journal) =>
      Effect.gen(function* () {
        const groupId = uniqueName("group")
        const topic = yield* Fixture.createTopic(2)
        const values: Array<string> = []
        const handled = Fixture.tally()
        const member = KafkaConsumer.make({
          groupId,
          topics: [topic],
          initialOffset: "latest",
          metadataMaxAge: "1 second",
          heartbeatInterval: "200 millis",
          commitInterval: "200 millis",
          value: Codec.text,
          handler: (envelope) =>
            Effect.sync(() => {
              values.push(envelope.value)
              // Other records now have the offsets.
              handled.add({ ...envelope, topic: `${topic}/${envelope.value}` })
            }),
          deadLetter: DeadLetter.none("stop")
        })
        yield* member
        yield* member
        yield* Fixture.produce(topic, 2, 6)
        yield* handled.reaches(6)
        yield* KafkaAdmin.once((admin) => admin.deleteTopics([topic]))
        yield* Effect.retry(Fixture.createTopic(2, topic), Schedule.spaced("20 millis"))
        yield* Fixture.produce(topic, 2, 12, 100)
        yield* handled.reaches(18)
        assert.sameMembers(
          values.slice(6),
          Array.from({ length: 12 }, (_, i) => String(100 + i))
        )
        yield* Effect.retry(
          Effect.filterOrFail(
            Fixture.committedOffsets(groupId),
            (all) => all.length === 2 && all.every(({ offset }) => offset === 6)
          ),
          Schedule.spaced("50 millis")
        ).pipe(Fixture.within("the commit"))
        const { length } = yield* journal.logged("Joined the group")
        assert.isAtLeast(length, 1)
      })
    )
  )
})
