import { assert, it } from "@effect/vitest"
import * as Codec from "@spillway/transport/Codec"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { describeKafka, uniqueName } from "../../../../scripts/kafka/testing.js"
import * as KafkaAdmin from "../../src/KafkaAdmin.js"
import * as KafkaConsumer from "../../src/KafkaConsumer.js"
import * as Fixture from "../support/fixture.js"

describeKafka("Topics by a pattern", (brokers) => {
  it.scopedLive("are assigned when created and dropped when deleted, by every member", () =>
    Fixture.run(brokers, () =>
      Effect.gen(function* () {
        const groupId = uniqueName("group")
        const prefix = uniqueName("pattern")
        const [eu, us] = [`${prefix}.eu`, `${prefix}.us`]
        const handled = Fixture.tally()
        const member = KafkaConsumer.make({
          groupId,
          topics: new RegExp(`^${prefix}\\.`),
          metadataMaxAge: "500 millis",
          heartbeatInterval: "200 millis",
          commitInterval: "200 millis",
          value: Codec.text,
          handler: (envelope) => Effect.sync(() => handled.add(envelope)),
          deadLetter: DeadLetter.none("stop")
        })
        yield* Fixture.createTopic(2, eu)
        yield* Fixture.createTopic(1, `other-${prefix}`)
        const members = [yield* member, yield* member]
        const assigned = (...topics: ReadonlyArray<string>) =>
          Effect.all(members.map(({ assignment }) => assignment)).pipe(
            Effect.map((all) =>
              all
                .flat()
                .map(({ topic, partition }) => `${topic}/${partition}`)
                .sort()
            ),
            Effect.filterOrFail((all) => all.join() === topics.join()),
            Effect.retry(Schedule.spaced("50 millis")),
            Fixture.within(`the assignment of ${topics.join()}`)
          )
        yield* Fixture.produce(eu, 2, 4)
        yield* handled.reaches(4)
        yield* Fixture.createTopic(2, us)
        yield* Fixture.produce(us, 2, 4)
        yield* handled.reaches(8)
        yield* assigned(`${eu}/0`, `${eu}/1`, `${us}/0`, `${us}/1`)
        yield* KafkaAdmin.once((admin) => admin.deleteTopics([eu]))
        yield* assigned(`${us}/0`, `${us}/1`)
        yield* Effect.all(members.map(({ close }) => close))
        assert.strictEqual(handled.duplicates(), 0)
        assert.deepStrictEqual(yield* Fixture.committedOffsets(groupId), Fixture.endOf(us, 2, 4))
      })
    )
  )
})
