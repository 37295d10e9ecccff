import { assert, it } from "@effect/vitest"
import * as Codec from "@spillway/transport/Codec"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import * as Effect from "effect/Effect"
import { Kafka, logLevel } from "kafkajs"
import { describeKafka, uniqueName } from "../../../../scripts/kafka/testing.js"
import * as KafkaConsumer from "../../src/KafkaConsumer.js"
import * as Fixture from "../support/fixture.js"

describeKafka("A group of kafkajs's consumer", (brokers) => {
  it.live("rejects Spillway's member without a disturbance, and Spillway continues where it stopped", () =>
    Fixture.run(brokers, () =>
      Effect.gen(function* () {
        const topic = yield* Fixture.createTopic(1)
        const groupId = uniqueName("group")
        yield* Fixture.produce(topic, 1, 20)
        const theirs = new Kafka({ brokers: brokers.split(","), logLevel: logLevel.NOTHING }).consumer({ groupId })
        const seen: Array<string> = []
        const handled = yield* Effect.makeLatch()
        yield* Effect.promise(async () => {
          await theirs.connect()
          await theirs.subscribe({ topic, fromBeginning: true })
          await theirs.run({
            autoCommit: false,
            eachMessage: async ({ message, partition }) => {
              seen.push(String(message.value))
              await theirs.commitOffsets([{ topic, partition, offset: String(Number(message.offset) + 1) }])
              if (seen.length === 20) await Effect.runPromise(handled.open)
            }
          })
        })
        yield* handled.await

        const ours = (until: Effect.Effect<unknown>, handler: (value: string) => void) =>
          KafkaConsumer.run(
            {
              groupId,
              topics: [topic],
              value: Codec.text,
              handler: ({ value }) => Effect.sync(() => handler(value)),
              deadLetter: DeadLetter.none("stop")
            },
            until
          )
        const refused = yield* Effect.flip(ours(Effect.never, () => {}))
        assert(refused._tag === "ConsumerError")
        assert.strictEqual(refused.reason, "Refused")
        assert.include(refused.message, "INCONSISTENT_GROUP_PROTOCOL")

        yield* Effect.promise(() => theirs.disconnect())
        yield* Fixture.produce(topic, 1, 10, 20)
        const rest: Array<string> = []
        const done = yield* Effect.makeLatch()
        yield* ours(done.await, (value) => {
          rest.push(value)
          if (rest.length === 10) Effect.runSync(done.open)
        })
        assert.deepStrictEqual(
          [...seen, ...rest],
          Array.from({ length: 30 }, (_, i) => String(i))
        )
      })
    )
  )
})
