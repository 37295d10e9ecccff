import { assert, it } from "@effect/vitest"
import * as Codec from "@spillway/transport/Codec"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import * as Effect from "effect/Effect"
import { describeKafka, uniqueName } from "../../../../scripts/kafka/testing.js"
import * as KafkaConsumer from "../../src/KafkaConsumer.js"
import { Wire } from "../../src/Wire.js"
import { observed } from "../support/consumerTesting.js"
import * as Fixture from "../support/fixture.js"

const partitions = 12
const handlerMs = 250
const records = 36

const compute = (millis: number) => {
  const end = performance.now() + millis
  while (performance.now() < end);
}

describeKafka("A consumer whose handlers compute", (brokers) => {
  // One handler per partition takes half of the session; eight per partition take four times the session.
  it.scopedLive("keeps its membership and commits, even if together they take longer than the session", () =>
    Fixture.run(brokers, () =>
      Effect.gen(function* () {
        const groupId = uniqueName("group")
        const topic = yield* Fixture.createTopic(partitions)
        yield* Fixture.produce(topic, partitions, records)
        const wire = yield* Wire
        let joins = 0
        const handled = Fixture.tally()
        const consumer = yield* KafkaConsumer.make({
          groupId,
          topics: [topic],
          value: Codec.text,
          sessionTimeout: "6 seconds",
          heartbeatInterval: "1 second",
          handler: (envelope) =>
            Effect.sync(() => {
              compute(handlerMs)
              handled.add(envelope)
            }),
          deadLetter: DeadLetter.none("stop")
        }).pipe(
          Effect.provideService(
            Wire,
            observed(wire, (api) =>
              Effect.sync(() => {
                if (api === "JoinGroup") joins++
              })
            )
          )
        )
        const joinsAtStart = joins
        yield* handled.reaches(records)
        assert.isNotEmpty(yield* Fixture.committedOffsets(groupId), "it has committed meanwhile")
        assert.strictEqual(joins, joinsAtStart)
        const report = yield* consumer.close
        assert.strictEqual(report.handled, records)
        assert.deepStrictEqual(report.committed, Fixture.endOf(topic, partitions, records))
      })
    )
  )
})
