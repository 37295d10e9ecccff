import { assert, it } from "@effect/vitest"
import * as Codec from "@spillway/transport/Codec"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import * as HandlerError from "@spillway/transport/HandlerError"
import * as Headers from "@spillway/transport/Headers"
import { Producer } from "@spillway/transport/Producer"
import * as RetryPolicy from "@spillway/transport/RetryPolicy"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { describeKafka, uniqueName } from "../../../../scripts/kafka/testing.js"
import * as KafkaConsumer from "../../src/KafkaConsumer.js"
import * as Fixture from "../support/fixture.js"

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

describeKafka("A consumer's handling", (brokers) => {
  it.scopedLive("retries failures, and dead-letters final ones with the original bytes", () =>
    Fixture.run(brokers, () =>
      Effect.gen(function* () {
        const groupId = uniqueName("group")
        const topic = yield* Fixture.createTopic(1)
        const deadLetterTopic = yield* Fixture.createTopic(1)
        const headers: Headers.Headers = [
          ["b", bytes("1")],
          ["a", null],
          ["b", new Uint8Array([0xff, 0x00])]
        ]
        const undecodable = new Uint8Array([0xff, 0xfe, 0x00])
        const producer = yield* Producer
        const values = ["flaky", "exhausted", "refused", undecodable, "last"]
        yield* producer.sendAll(values.map((value) => ({ topic, key: bytes("k"), value, headers })))

        const attempts: Array<string> = []
        const handled = Fixture.tally()
        const consumer = yield* KafkaConsumer.make({
          groupId,
          topics: [topic],
          value: Codec.text,
          handler: (envelope) => {
            attempts.push(`${envelope.value} ${envelope.attempt}`)
            if (envelope.value === "exhausted") return Effect.fail(new Error("always"))
            if (envelope.value === "refused") return HandlerError.nonRetryable(new TypeError("never"))
            if (envelope.value === "flaky" && envelope.attempt <= 2) return Effect.fail(new Error("not yet"))
            return Effect.sync(() => handled.add(envelope))
          },
          retry: RetryPolicy.fixed({ retries: 2, delay: "50 millis" }),
          deadLetter: DeadLetter.topic(deadLetterTopic)
        })
        yield* handled.reaches(2)
        const { committed, ...counts } = yield* consumer.close

        assert.deepStrictEqual(attempts, [
          ...["flaky 1", "flaky 2", "flaky 3"],
          ...["exhausted 1", "exhausted 2", "exhausted 3"],
          "refused 1",
          "last 1"
        ])
        assert.deepStrictEqual(counts, { handled: 2, retried: 4, deadLettered: 3, discarded: 0 })
        assert.deepStrictEqual(committed, [{ topic, partition: 0, offset: 5 }])
        assert.deepStrictEqual(yield* Fixture.committedOffsets(groupId), committed)

        const letters = yield* Fixture.readTopic(deadLetterTopic)
        assert.deepStrictEqual(
          letters.map(({ key, value }) => [key, value].map((field) => Array.from(field!))),
          [bytes("exhausted"), bytes("refused"), undecodable].map((value) => [
            Array.from(bytes("k")),
            Array.from(value)
          ])
        )
        for (const letter of letters) {
          assert.deepStrictEqual(
            letter.headers.slice(0, headers.length).map(([name, value]) => [name, value && Array.from(value)]),
            headers.map(([name, value]) => [name, value && Array.from(value)])
          )
        }
        const text = (name: string) =>
          letters.map((letter) =>
            Headers.getText(letter.headers, name).pipe((option) => (option._tag === "Some" ? option.value : undefined))
          )
        assert.deepStrictEqual(text("x-retry-count"), ["2", "0", "0"])
        assert.deepStrictEqual(text("x-error-message"), ["always", "never", "InvalidUtf8: 3 bytes"])
        assert.deepStrictEqual(text("x-error-type"), ["Error", "TypeError", "DecodeError"])
        for (const [i, failedAt] of text("x-failed-timestamp").entries()) {
          assert.strictEqual(new Date(failedAt!).toISOString(), failedAt)
          assert.isAtLeast(Date.parse(failedAt!), letters[0]!.timestamp - 1_000)
          assert.isAtMost(Date.parse(failedAt!), letters[i]!.timestamp)
        }
      })
    )
  )

  it.scopedLive("continues other partitions while one waits for a retry, and a stop ends the wait", () =>
    Fixture.run(brokers, (journal) =>
      Effect.gen(function* () {
        const groupId = uniqueName("group")
        const topic = yield* Fixture.createTopic(2)
        yield* Fixture.produce(topic, 2, 2)
        const handled = Fixture.tally()
        const consumer = yield* KafkaConsumer.make({
          groupId,
          topics: [topic],
          value: Codec.text,
          handler: (envelope) =>
            envelope.partition === 0
              ? HandlerError.temporary("not now", "1 hour")
              : Effect.sync(() => handled.add(envelope)),
          deadLetter: DeadLetter.none("stop")
        })
        yield* journal.logged("Handling failed; retrying")
        yield* Fixture.produce(topic, 2, 2_000, 2)
        yield* handled.reaches(1_001)
        const closing = Date.now()
        const report = yield* consumer.close
        assert.isBelow(Date.now() - closing, 2_000)
        assert.deepStrictEqual(report, {
          handled: 1_001,
          retried: 0,
          deadLettered: 0,
          discarded: 0,
          committed: [
            { topic, partition: 0, offset: 0 },
            { topic, partition: 1, offset: 1_001 }
          ]
        })
        assert.deepStrictEqual(yield* Fixture.committedOffsets(groupId), report.committed)
      })
    )
  )

  for (const end of ["until", "interruption"] as const) {
    it.scopedLive(`drains when \`run\` is ended by ${end}`, () =>
      Fixture.run(brokers, () =>
        Effect.gen(function* () {
          const groupId = uniqueName("group")
          const topic = yield* Fixture.createTopic(3)
          yield* Fixture.produce(topic, 3, 500)
          const handled = Fixture.tally()
          const running = yield* Effect.fork(
            KafkaConsumer.run(
              {
                groupId,
                topics: [topic],
                value: Codec.text,
                handler: (envelope) => Effect.sync(() => handled.add(envelope)),
                deadLetter: DeadLetter.none("stop")
              },
              end === "until" ? handled.reaches(500) : Effect.never
            )
          )
          yield* handled.reaches(500)
          const committed = Fixture.endOf(topic, 3, 500)
          if (end === "until") {
            const report = yield* Fiber.join(running)
            assert.deepStrictEqual(report, { handled: 500, retried: 0, deadLettered: 0, discarded: 0, committed })
          } else yield* Fiber.interrupt(running)
          assert.deepStrictEqual(yield* Fixture.committedOffsets(groupId), committed)
        })
      )
    )
  }
})
