import { assert, it } from "@effect/vitest"
import * as Codec from "@spillway/transport/Codec"
import type { Consumer } from "@spillway/transport/Consumer"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import * as Position from "@spillway/transport/Position"
import { Producer } from "@spillway/transport/Producer"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { describeKafka, uniqueName } from "../../../../scripts/kafka/testing.js"
import * as KafkaConsumer from "../../src/KafkaConsumer.js"
import * as Fixture from "../support/fixture.js"

const owns = (consumer: Consumer, partitions: number) =>
  Effect.repeat(Effect.zipRight(Effect.sleep("20 millis"), consumer.assignment), {
    until: (assignment) => assignment.length === partitions
  }).pipe(Fixture.within(`owning ${partitions} partitions`))

describeKafka("A consumer's control", (brokers) => {
  it.scopedLive(
    "holds paused partitions through a rebalance, past the session timeout, and continues when resumed",
    () =>
      Fixture.run(brokers, (journal) =>
        Effect.gen(function* () {
          const groupId = uniqueName("group")
          const topic = yield* Fixture.createTopic(4)
          const paused = [0, 1, 2].map((partition) => ({ topic, partition }))
          const handled = Fixture.tally()
          const member = KafkaConsumer.make({
            groupId,
            topics: [topic],
            value: Codec.text,
            handler: (envelope) => Effect.sync(() => handled.add(envelope)),
            deadLetter: DeadLetter.none("stop"),
            sessionTimeout: "6 seconds",
            heartbeatInterval: "300 millis"
          })
          const consumer = yield* member
          yield* consumer.pause(paused)
          yield* Fixture.produce(topic, 4, 400)
          yield* handled.reaches(100)
          assert.deepStrictEqual(yield* consumer.paused, paused)
          assert.strictEqual(yield* consumer.status, "Running")

          // The other member handles its partitions: a pause is per member.
          const other = yield* member
          yield* owns(consumer, 2)
          yield* owns(other, 2)
          yield* handled.reaches(100 * (1 + (yield* other.assignment).filter((one) => one.partition < 3).length))
          yield* other.close
          yield* owns(consumer, 4)
          assert.deepStrictEqual(yield* consumer.paused, paused)

          yield* consumer.pause()
          assert.strictEqual(yield* consumer.status, "Paused")
          const before = handled.times.size
          yield* Fixture.produce(topic, 4, 400, 400)
          const joins = (yield* journal.logged("Joined the group")).length
          yield* Effect.sleep("7 seconds")
          assert.strictEqual(handled.times.size, before)
          assert.strictEqual((yield* journal.logged("Joined the group")).length, joins)

          yield* consumer.resume()
          yield* handled.reaches(800)
          yield* consumer.close
          assert.strictEqual(handled.duplicates(), 0)
          assert.deepStrictEqual(yield* Fixture.committedOffsets(groupId), Fixture.endOf(topic, 4, 800))
        })
      ),
    60_000
  )

  it.scopedLive("seeks to offsets, timestamps, the beginning and the end, and commits the new positions", () =>
    Fixture.run(brokers, () =>
      Effect.gen(function* () {
        const groupId = uniqueName("group")
        const topic = yield* Fixture.createTopic(2)
        const [first, second] = [0, 1].map((partition) => ({ topic, partition }))
        const producer = yield* Producer
        yield* producer.sendAll(
          Array.from({ length: 2_000 }, (_, i) => ({
            topic,
            partition: i % 2,
            value: String(i),
            timestamp: 1_700_000_000_000 + i
          }))
        )
        const handled = Fixture.tally()
        const consumer = yield* KafkaConsumer.make({
          groupId,
          topics: [topic],
          value: Codec.text,
          handler: (envelope) => Effect.sync(() => handled.add(envelope)),
          deadLetter: DeadLetter.none("stop")
        })
        yield* handled.reaches(2_000)
        yield* consumer.pause()
        const sought = (...args: Parameters<typeof consumer.seek>) =>
          Effect.zipRight(
            consumer.seek(...args),
            Effect.map(Fixture.committedOffsets(groupId), (all) => all.map(({ offset }) => offset))
          )
        assert.deepStrictEqual(yield* sought(Position.beginning), [0, 0])
        assert.deepStrictEqual(yield* sought(Position.offset(700), [first!]), [700, 0])
        assert.deepStrictEqual(yield* sought(Position.end, [second!]), [700, 1_000])
        assert.deepStrictEqual(yield* sought(Position.timestamp(1_700_000_001_001)), [501, 500])
        assert.deepStrictEqual(yield* sought(Position.timestamp(Date.now())), [1_000, 1_000])
        const refused = yield* Effect.flip(consumer.seek(Position.offset(1_001), [first!]))
        assert.deepStrictEqual(
          [refused.reason, refused.field, refused.value],
          ["OffsetOutOfRange", "position.offset", 1_001]
        )
        assert.strictEqual(handled.duplicates(), 0)
        assert.deepStrictEqual(yield* sought(Position.offset(900)), [900, 900])
        yield* consumer.resume()
        yield* handled.repeats(200)
        const report = yield* consumer.close
        assert.strictEqual(report.handled, 2_200)
        assert.deepStrictEqual(yield* Fixture.committedOffsets(groupId), Fixture.endOf(topic, 2, 2_000))
      })
    )
  )

  it.scopedLive("completes each seek as a whole or not at all, during rebalances", () =>
    Fixture.run(brokers, () =>
      Effect.gen(function* () {
        const groupId = uniqueName("group")
        const topic = yield* Fixture.createTopic(4)
        yield* Fixture.produce(topic, 4, 400)
        const handled = Fixture.tally()
        const member = KafkaConsumer.make({
          groupId,
          topics: [topic],
          value: Codec.text,
          handler: (envelope) => Effect.map(Effect.sleep("1 millis"), () => handled.add(envelope)),
          deadLetter: DeadLetter.none("stop"),
          heartbeatInterval: "200 millis"
        })
        const consumer = yield* member
        yield* handled.reaches(400)
        let done = 0
        const refused = new Set<string>()
        const seeking = yield* consumer.seek(Position.beginning).pipe(
          Effect.match({
            onSuccess: () => {
              done++
            },
            onFailure: ({ reason }) => {
              refused.add(reason)
            }
          }),
          Effect.zipRight(Effect.sleep("20 millis")),
          Effect.forever,
          Effect.fork
        )
        for (let round = 0; round < 3; round++) {
          const other = yield* member
          yield* owns(other, 2)
          yield* other.close
          yield* owns(consumer, 4)
        }
        yield* Fiber.interrupt(seeking)
        yield* owns(consumer, 4)
        // Paused, so that no record of the new pass is handled before it is counted.
        yield* consumer.pause()
        yield* consumer.seek(Position.beginning)
        const before = handled.duplicates()
        yield* consumer.resume()
        yield* handled.repeats(before + 400)
        yield* consumer.close
        assert.isAbove(done, 0)
        assert.deepStrictEqual(
          [...refused].filter((reason) => reason !== "Rebalancing"),
          []
        )
        assert.deepStrictEqual(yield* Fixture.committedOffsets(groupId), Fixture.endOf(topic, 4, 400))
      })
    )
  )
})
