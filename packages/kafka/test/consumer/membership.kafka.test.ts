import { assert, it } from "@effect/vitest"
import * as Codec from "@spillway/transport/Codec"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { describeKafka, uniqueName } from "../../../../scripts/kafka/testing.js"
import * as KafkaConsumer from "../../src/KafkaConsumer.js"
import * as Fixture from "../support/fixture.js"

describeKafka("A consumer's membership", (brokers) => {
  it.scopedLive(
    "outlasts a handler that runs longer than the session timeout",
    () =>
      Fixture.run(brokers, (journal) =>
        Effect.gen(function* () {
          const groupId = uniqueName("group")
          const topic = yield* Fixture.createTopic(1)
          yield* Fixture.produce(topic, 1, 2)
          const started: Array<number> = []
          const handled = Fixture.tally()
          const consumer = yield* KafkaConsumer.make({
            groupId,
            topics: [topic],
            value: Codec.text,
            handler: (envelope) => {
              started.push(envelope.offset)
              const work = envelope.offset === 0 ? Effect.sleep("20 seconds") : Effect.void
              return Effect.map(work, () => handled.add(envelope))
            },
            deadLetter: DeadLetter.none("stop"),
            sessionTimeout: "6 seconds",
            heartbeatInterval: "1 second"
          })
          yield* handled.reaches(2)
          const report = yield* consumer.close
          assert.deepStrictEqual(started, [0, 1])
          assert.deepStrictEqual(report.committed, [{ topic, partition: 0, offset: 2 }])
          assert.deepStrictEqual(yield* Fixture.committedOffsets(groupId), report.committed)
          const joins = yield* journal.logged("Joined the group")
          assert.deepStrictEqual(
            joins.map(({ annotations }) => annotations["generationId"]),
            [1]
          )
        })
      ),
    60_000
  )

  for (const assignor of ["cooperative-sticky", "range"] as const) {
    it.scopedLive(`reassigns partitions while handlers run, and handles no record twice (${assignor})`, () =>
      Fixture.run(brokers, (journal) =>
        Effect.gen(function* () {
          const groupId = uniqueName("group")
          const [partitions, count] = [4, 4_000]
          const topic = yield* Fixture.createTopic(partitions)
          yield* Fixture.produce(topic, partitions, count)
          const handled = Fixture.tally()
          const latch = yield* Effect.makeLatch(false)
          const counts = { first: 0, second: 0 }
          const member = (name: keyof typeof counts) =>
            KafkaConsumer.make({
              groupId,
              assignors: [assignor],
              topics: [topic],
              value: Codec.text,
              handler: (envelope) =>
                latch.await.pipe(
                  Effect.zipRight(Effect.sleep("1 millis")),
                  Effect.zipRight(
                    Effect.sync(() => {
                      counts[name]++
                      handled.add(envelope)
                    })
                  )
                ),
              deadLetter: DeadLetter.none("stop"),
              heartbeatInterval: "300 millis"
            })

          const first = yield* member("first")
          yield* latch.open
          yield* handled.reaches(400)
          yield* latch.close
          const joining = yield* Effect.fork(member("second"))
          yield* journal.logged("revoking partitions")
          // Eager members join once every partition is revoked; cooperative members don't wait for partitions that move.
          if (assignor === "range") assert.isNull(joining.unsafePoll())
          else yield* Fiber.join(joining)
          yield* latch.open
          const second = yield* Fiber.join(joining)
          yield* handled.reaches(count)
          const [ofFirst, ofSecond] = yield* Effect.all([first.assignment, second.assignment])
          const reports = yield* Effect.all([first.close, second.close])

          assert.strictEqual(ofFirst.length, 2)
          assert.strictEqual(ofSecond.length, 2)
          assert.deepStrictEqual([...ofFirst, ...ofSecond].map(({ partition }) => partition).sort(), [0, 1, 2, 3])
          assert.strictEqual(handled.duplicates(), 0)
          assert.deepStrictEqual(
            reports.map((report) => report.handled),
            [counts.first, counts.second]
          )
          assert.isAbove(counts.second, 0)
          assert.strictEqual(counts.first + counts.second, count)
          assert.deepStrictEqual(yield* Fixture.committedOffsets(groupId), Fixture.endOf(topic, partitions, count))
        })
      )
    )

    it.scopedLive(`reassigns a stopped member's partitions at once (${assignor})`, () =>
      Fixture.run(brokers, (journal) =>
        Effect.gen(function* () {
          const groupId = uniqueName("group")
          const [partitions, count] = [4, 4_000]
          const topic = yield* Fixture.createTopic(partitions)
          const handled = Fixture.tally()
          const member = KafkaConsumer.make({
            groupId,
            assignors: [assignor],
            topics: [topic],
            value: Codec.text,
            handler: (envelope) => Effect.map(Effect.sleep("1 millis"), () => handled.add(envelope)),
            deadLetter: DeadLetter.none("stop"),
            heartbeatInterval: "300 millis"
          })
          const first = yield* member
          const second = yield* member
          yield* journal.logged("Joined the group", assignor === "range" ? 3 : 5)
          yield* Fixture.produce(topic, partitions, count)
          yield* handled.reaches(count / 4)
          const left = yield* first.close
          assert.isAbove(left.handled, 0)
          yield* handled.reaches(count)
          const stayed = yield* second.close
          assert.strictEqual(left.handled + stayed.handled, count)
          assert.strictEqual(handled.duplicates(), 0)
          assert.deepStrictEqual(yield* Fixture.committedOffsets(groupId), Fixture.endOf(topic, partitions, count))
        })
      )
    )
  }
})
