import { assert, it } from "@effect/vitest"
import * as Codec from "@spillway/transport/Codec"
import * as Consumer from "@spillway/transport/Consumer"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import type { Producer } from "@spillway/transport/Producer"
import * as RetryPolicy from "@spillway/transport/RetryPolicy"
import * as Effect from "effect/Effect"
import { describeKafka, uniqueName } from "../../../../scripts/kafka/testing.js"
import * as KafkaConsumer from "../../src/KafkaConsumer.js"
import * as Fixture from "../support/fixture.js"

type Options = KafkaConsumer.KafkaConsumerOptions<string, unknown, never, Producer>

const ignore = { value: Codec.text, handler: () => Effect.void, deadLetter: DeadLetter.none("stop") }

describeKafka("A consumer's lifecycle", (brokers) => {
  for (const stops of [1, 3]) {
    it.scopedLive(
      `handles each record once across ${stops} stop(s) under load`,
      () =>
        Fixture.run(brokers, () =>
          Effect.gen(function* () {
            const groupId = uniqueName("group")
            const count = 10_000
            const topic = yield* Fixture.createTopic(6)
            yield* Fixture.produce(topic, 6, count)
            const handled = Fixture.tally()
            const consumer = KafkaConsumer.make({
              groupId,
              topics: [topic],
              value: Codec.text,
              handler: (envelope) => Effect.map(Effect.sleep("1 millis"), () => handled.add(envelope)),
              deadLetter: DeadLetter.none("stop")
            })

            let total = 0
            for (let stop = 1; stop <= stops + 1; stop++) {
              const { close, stop: ask, wait } = yield* consumer
              yield* handled.reaches(stop <= stops ? stop * 2_000 : count)
              yield* ask
              const report = yield* stop <= stops ? wait : close
              total += report.handled
              if (stop <= stops) assert.isBelow(total, count)
              assert.deepStrictEqual(yield* Fixture.committedOffsets(groupId), report.committed)
            }
            assert.strictEqual(handled.times.size, count)
            assert.strictEqual(handled.duplicates(), 0)
            assert.strictEqual(total, count)
            assert.deepStrictEqual(yield* Fixture.committedOffsets(groupId), Fixture.endOf(topic, 6, count))
          })
        ),
      60_000
    )
  }

  const failures: Readonly<
    Record<
      string,
      {
        readonly reason: Consumer.ConsumerErrorReason
        readonly description: string
        readonly options: Omit<Options, "groupId" | "topics">
      }
    >
  > = {
    "a session timeout below the broker's bounds": {
      reason: "Refused",
      description: "1000 ms is outside the broker's bounds",
      options: { ...ignore, sessionTimeout: "1 second", heartbeatInterval: "300 millis" }
    },
    "a dead letter topic that does not exist": {
      reason: "DeadLetterTopic",
      description: "no-such-topic",
      options: { ...ignore, deadLetter: DeadLetter.topic("no-such-topic") }
    },
    "a record that can't be handled, with no dead letter topic": {
      reason: "HandlingFailed",
      description: "not this one",
      options: { ...ignore, handler: () => Effect.dieMessage("not this one"), retry: RetryPolicy.none }
    }
  }

  for (const [failure, { description, options, reason }] of Object.entries(failures)) {
    for (const [form, start] of Object.entries({
      "KafkaConsumer.run": (options: Options) => KafkaConsumer.run(options),
      "Consumer.launch": (options: Options) => Consumer.launch(KafkaConsumer.layer(options))
    })) {
      it.scopedLive(`${failure} ends ${form} with the typed error`, () =>
        Fixture.run(brokers, () =>
          Effect.gen(function* () {
            const topic = yield* Fixture.createTopic(1)
            yield* Fixture.produce(topic, 1, 1)
            const groupId = uniqueName("group")
            const error = yield* start({ ...options, groupId, topics: [topic] }).pipe(
              Effect.flip,
              Fixture.within("the failure", "10 seconds")
            )
            assert.instanceOf(error, Consumer.ConsumerError)
            assert.strictEqual(error.reason, reason)
            assert.strictEqual(error.groupId, groupId)
            assert.include(error.description, description)
            const committed = yield* Fixture.committedOffsets(groupId)
            assert.isTrue(committed.every(({ offset }) => offset === 0))
          })
        )
      )
    }
  }
})
