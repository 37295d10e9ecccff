import { assert, it } from "@effect/vitest"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import { Producer } from "@spillway/transport/Producer"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { describeKafka, uniqueName } from "../../../../scripts/kafka/testing.js"
import * as KafkaAdmin from "../../src/KafkaAdmin.js"
import * as KafkaConsumer from "../../src/KafkaConsumer.js"
import { alterTopic } from "../support/alterTopic.js"
import { consumerOf } from "../support/consumerOf.js"
import * as Fixture from "../support/fixture.js"

const text = ({ value }: { readonly value: Uint8Array | null }): string | null =>
  value && new TextDecoder().decode(value)

describeKafka("A bad dead letter topic", (brokers) => {
  it.scopedLive("that refuses writes for 10 seconds holds up one record, no other partition, and loses nothing", () =>
    Fixture.run(brokers, (journal) =>
      Effect.gen(function* () {
        const [topic, letters] = [yield* Fixture.createTopic(2), uniqueName("dlq")]
        // A compacted topic takes no record without a key.
        yield* KafkaAdmin.once((admin) =>
          admin.createTopics([{ topic: letters, configs: { "cleanup.policy": "compact" } }])
        )
        const { sendAll } = yield* Producer
        yield* sendAll(["bad", "behind"].map((value) => ({ topic, partition: 0, value })))
        const { groupId, handled, options, values } = consumerOf(topic)
        const consumer = yield* KafkaConsumer.make({ ...options, deadLetter: DeadLetter.topic(letters) })
        const refusing = Date.now()
        const [held] = yield* journal.logged("The dead letter is not published yet")
        assert.deepInclude(held!.annotations, { topic, deadLetterTopic: letters })
        assert.include(String(held!.annotations["error"]), "INVALID_RECORD")
        assert.include(String(held!.annotations["remedy"]), `set cleanup.policy of ${letters} to "delete"`)
        yield* sendAll(Array.from({ length: 100 }, (_, i) => ({ topic, partition: 1, value: `beside ${i}` })))
        yield* handled.reaches(100)
        yield* Effect.sleep(10_000 - (Date.now() - refusing))
        assert.notInclude(values, "behind")
        assert.strictEqual((yield* consumer.report).deadLettered, 0)
        assert.deepInclude(yield* Fixture.committedOffsets(groupId), { topic, partition: 0, offset: 0 })

        yield* alterTopic(brokers, letters, { "cleanup.policy": "delete" })
        const { committed, ...report } = yield* Effect.zipRight(handled.reaches(101), consumer.close)
        assert.deepStrictEqual(report, { handled: 101, retried: 0, deadLettered: 1, discarded: 0 })
        assert.deepStrictEqual(committed, [
          { topic, partition: 0, offset: 2 },
          { topic, partition: 1, offset: 100 }
        ])
        const written = yield* Fixture.readTopic(letters)
        assert.deepStrictEqual([...new Set(written.map(text))], ["bad"])
        console.info(
          `a dead letter topic that refused for ${Date.now() - refusing} ms: ${written.length} letter(s) of 1`
        )
      })
    )
  )

  const tooSmall = (limit: number) => {
    const letters = uniqueName("dlq")
    return Effect.as(
      KafkaAdmin.once((admin) =>
        admin.createTopics([{ topic: letters, configs: { "max.message.bytes": String(limit) } }])
      ),
      letters
    )
  }

  for (const headers of ["spillway", "spring", "connect"] as const) {
    it.scopedLive(`whose limit fits the record but not all metadata gets a shortened dead letter (${headers})`, () =>
      Fixture.run(brokers, () =>
        Effect.gen(function* () {
          const topic = yield* Fixture.createTopic(1)
          const letters = yield* tooSmall(2_500)
          const { send } = yield* Producer
          const value = `bad ${"x".repeat(1_600)}`
          yield* send({ topic, value })
          yield* send({ topic, value: "last" })
          const { handled, options } = consumerOf(topic)
          yield* KafkaConsumer.make({ ...options, deadLetter: DeadLetter.topic(letters, { headers }) })
          yield* handled.reaches(1)
          const [letter] = yield* Fixture.readTopic(letters)
          assert.strictEqual(text(letter!), value)
          assert.deepInclude(Option.getOrThrow(DeadLetter.metadata(letter!)), {
            topic,
            partition: 0,
            offset: 0,
            retryCount: 0,
            errorMessage: undefined,
            eventId: `${topic}-0-0`
          })
        })
      )
    )
  }

  it.scopedLive("that can't take the record holds up the record's partition alone", () =>
    Fixture.run(brokers, (journal) =>
      Effect.gen(function* () {
        const topic = yield* Fixture.createTopic(2)
        const letters = yield* tooSmall(1_000)
        const { sendAll } = yield* Producer
        yield* sendAll([`bad ${"x".repeat(2_000)}`, "behind"].map((value) => ({ topic, partition: 0, value })))
        const { handled, options, values } = consumerOf(topic)
        const consumer = yield* KafkaConsumer.make({ ...options, deadLetter: DeadLetter.topic(letters) })
        const [held] = yield* journal.logged("The dead letter is rejected; the partition is blocked")
        assert.deepInclude(held!.annotations, { topic, deadLetterTopic: letters })
        assert.include(String(held!.annotations["error"]), "TOO_LARGE")
        assert.include(String(held!.annotations["remedy"]), `raise max.message.bytes of ${letters}`)
        yield* sendAll(Array.from({ length: 100 }, (_, i) => ({ topic, partition: 1, value: `beside ${i}` })))
        yield* handled.reaches(100)
        assert.strictEqual(yield* consumer.status, "Running")
        const { committed, deadLettered } = yield* consumer.close
        assert.notInclude(values, "behind")
        assert.strictEqual(deadLettered, 0)
        assert.deepStrictEqual(committed, [
          { topic, partition: 0, offset: 0 },
          { topic, partition: 1, offset: 100 }
        ])
      })
    )
  )

  it.scopedLive("that can't take the record fails the consumer uncommitted if the policy is to stop", () =>
    Fixture.run(brokers, () =>
      Effect.gen(function* () {
        const topic = yield* Fixture.createTopic(1)
        const letters = yield* tooSmall(1_000)
        const { sendAll } = yield* Producer
        yield* sendAll(["first", `bad ${"x".repeat(2_000)}`, "behind"].map((value) => ({ topic, value })))
        const { groupId, options, values } = consumerOf(topic)
        const deadLetter = DeadLetter.topic(letters, { tooLarge: "stop" })
        const consumer = yield* KafkaConsumer.make({ ...options, deadLetter })
        const error = yield* Fixture.within("the failure")(Effect.flip(consumer.wait))
        assert.strictEqual(error.reason, "DeadLetterRejected")
        assert.include(error.message, `${topic}-0 at offset 1`)
        assert.deepStrictEqual(values, ["first"])
        assert.deepStrictEqual(yield* Fixture.committedOffsets(groupId), [{ topic, partition: 0, offset: 1 }])
      })
    )
  )
})
