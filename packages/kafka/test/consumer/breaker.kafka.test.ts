import { assert, it } from "@effect/vitest"
import * as Codec from "@spillway/transport/Codec"
import type { Consumer } from "@spillway/transport/Consumer"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { describeKafka, uniqueName } from "../../../../scripts/kafka/testing.js"
import * as KafkaConsumer from "../../src/KafkaConsumer.js"
import * as Fixture from "../support/fixture.js"

/** How long the dependency is down. `SPILLWAY_OUTAGE=60` plays a realistic outage. */
const outage = Duration.seconds(Number(process.env["SPILLWAY_OUTAGE"] ?? 10))

const becomes = (consumer: Consumer, state: "open" | "closed") =>
  consumer.breaker!.changes.pipe(
    Stream.takeUntil((now) => now === state),
    Stream.runDrain,
    Fixture.within(`becoming ${state}`, "45 seconds")
  )

describeKafka("A consumer's circuit breaker", (brokers) => {
  it.scopedLive(
    "spares a dependency that is down, and loses no record or membership",
    () =>
      Fixture.run(brokers, (journal) =>
        Effect.gen(function* () {
          const groupId = uniqueName("group")
          const [partitions, count] = [6, 10_000]
          const topic = yield* Fixture.createTopic(partitions)
          const deadLetterTopic = yield* Fixture.createTopic(partitions)
          yield* Fixture.produce(topic, partitions, count)
          const handled = Fixture.tally()
          let calls = 0
          let down = true
          const consumer = yield* KafkaConsumer.make({
            groupId,
            topics: [topic],
            value: Codec.text,
            handler: (envelope) =>
              Effect.suspend(() => {
                calls++
                return down ? Effect.fail(new Error("down")) : Effect.sync(() => handled.add(envelope))
              }),
            circuitBreaker: {},
            deadLetter: DeadLetter.topic(deadLetterTopic),
            sessionTimeout: "6 seconds",
            heartbeatInterval: "1 second"
          })
          yield* becomes(consumer, "open")
          yield* Effect.sleep(outage)
          const callsWhileDown = calls
          down = false
          yield* becomes(consumer, "closed")
          yield* handled.reaches(count)
          const report = yield* consumer.close
          console.info(`${callsWhileDown} calls of the handler while it was down for ${Duration.format(outage)}`)
          assert.isBelow(callsWhileDown, 100)
          assert.strictEqual(report.handled, count)
          assert.strictEqual(handled.duplicates(), 0)
          assert.strictEqual(report.deadLettered, 0)
          assert.deepStrictEqual(yield* Fixture.readTopic(deadLetterTopic), [])
          assert.strictEqual((yield* journal.logged("Joined the group")).length, 1)
          assert.deepStrictEqual(yield* Fixture.committedOffsets(groupId), Fixture.endOf(topic, partitions, count))
        })
      ),
    Duration.toMillis(outage) + 90_000
  )

  it.scopedLive("doesn't hold up a drain while it is open", () =>
    Fixture.run(brokers, () =>
      Effect.gen(function* () {
        const groupId = uniqueName("group")
        const topic = yield* Fixture.createTopic(6)
        yield* Fixture.produce(topic, 6, 1_000)
        const consumer = yield* KafkaConsumer.make({
          groupId,
          topics: [topic],
          value: Codec.text,
          handler: () => Effect.fail("down"),
          circuitBreaker: { openTime: "1 hour", maxOpenTime: "1 hour" },
          deadLetter: DeadLetter.none("stop")
        })
        yield* becomes(consumer, "open")
        const closing = Date.now()
        const report = yield* consumer.close
        assert.isBelow(Date.now() - closing, 2_000)
        assert.strictEqual(report.handled + report.discarded + report.deadLettered, 0)
        const committed = yield* Fixture.committedOffsets(groupId)
        assert.deepStrictEqual(
          committed.map(({ offset }) => offset),
          [0, 0, 0, 0, 0, 0]
        )
      })
    )
  )
})
