import { assert, it } from "@effect/vitest"
import * as Codec from "@spillway/transport/Codec"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import * as HandlerError from "@spillway/transport/HandlerError"
import type { ProducerRecord } from "@spillway/transport/Producer"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import { forEachRecord } from "../../../../scripts/kafka/inspect.js"
import { describeKafka, uniqueName } from "../../../../scripts/kafka/testing.js"
import * as KafkaConsumer from "../../src/KafkaConsumer.js"
import * as KafkaProducer from "../../src/KafkaProducer.js"
import * as Fixture from "../support/fixture.js"

const partitions = 4
const records = 3_000

describeKafka("A transactional consumer", (brokers) => {
  it.scopedLive(
    "writes each result and dead letter once while members join and leave, and fails when it is replaced",
    () =>
      Fixture.run(brokers, () =>
        Effect.gen(function* () {
          const topic = yield* Fixture.createTopic(partitions)
          const output = yield* Fixture.createTopic(partitions)
          const deadLetterTopic = yield* Fixture.createTopic(partitions)
          const groupId = uniqueName("group")
          yield* Fixture.produce(topic, partitions, records)
          const settled = Fixture.tally()

          const join = (name: string) =>
            Effect.gen(function* () {
              const scope = yield* Scope.make()
              yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
              const consumer = yield* Scope.extend(
                KafkaConsumer.makeTransactional({
                  groupId,
                  topics: [topic],
                  value: Codec.text,
                  transactionalId: `${groupId}-${name}`,
                  heartbeatInterval: "200 millis",
                  handler: (envelope) =>
                    Effect.suspend((): Effect.Effect<ReadonlyArray<ProducerRecord>, unknown> => {
                      const number = Number(envelope.value)
                      if (number % 50 === 7) {
                        settled.add(envelope)
                        return HandlerError.nonRetryable("seven")
                      }
                      if (number % 50 === 9 && envelope.attempt === 1) {
                        return HandlerError.temporary("again", "5 millis")
                      }
                      settled.add(envelope)
                      return Effect.as(Effect.sleep("1 millis"), [{ topic: output, value: envelope.value }])
                    }),
                  deadLetter: DeadLetter.topic(deadLetterTopic)
                }),
                scope
              )
              return { consumer, close: Scope.close(scope, Exit.void) }
            })

          const one = yield* join("one")
          yield* settled.reaches(300)
          const two = yield* join("two")
          yield* settled.reaches(900)
          yield* one.close
          const three = yield* join("three")
          yield* settled.reaches(records)
          // The replaced consumer may no longer commit.
          yield* KafkaProducer.makeTransactional({ transactionalId: `${groupId}-three` })
          yield* Fixture.produce(topic, partitions, partitions * 3, records)
          const failed = yield* Effect.flip(three.consumer.wait)
          assert.strictEqual(failed.reason, "FencedProducer")
          const end = Fixture.endOf(topic, partitions, records + partitions * 3)
          const atEnd = Effect.map(
            Fixture.committedOffsets(groupId),
            (offsets) => JSON.stringify(offsets) === JSON.stringify(end)
          )
          yield* Effect.repeat(atEnd, { until: (holds) => holds, schedule: Schedule.spaced("50 millis") }).pipe(
            Fixture.within("commit all")
          )
          yield* two.close

          const found = new Map<string, number>()
          const count = ({ value }: { readonly value: Uint8Array | null }) => {
            const number = Buffer.from(value ?? []).toString()
            found.set(number, (found.get(number) ?? 0) + 1)
          }
          yield* forEachRecord(output, count, "read_committed")
          const results = found.size
          yield* forEachRecord(deadLetterTopic, count, "read_committed")
          const all = Array.from({ length: records + partitions * 3 }, (_, number) => `${number}`)
          assert.deepStrictEqual(
            all.filter((number) => found.get(number) !== 1),
            []
          )
          assert.strictEqual(found.size, all.length)
          assert.strictEqual(all.length - results, all.filter((number) => Number(number) % 50 === 7).length)
        })
      ),
    60_000
  )
})
