import { assert, describe, it } from "@effect/vitest"
import { KafkaErrorCode as Code, nameOf } from "@spillway/kafka/KafkaErrorCode"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import { Wire } from "@spillway/kafka/Wire"
import * as Faults from "@spillway/memory/Faults"
import { MemoryBroker } from "@spillway/memory/MemoryBroker"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { onBroker, topic } from "../support/consumerTesting.js"

const record = (partition: number) => ({ topic, partition, key: null, value: Buffer.from("a") })

const rulesOf = (code: number): ReadonlyArray<Faults.FaultRule> => [
  {
    fault: { _tag: "Answer", code, when: "instead", partitions: [0] },
    apis: ["Produce"],
    from: "1 second",
    until: "10 seconds"
  }
]

describe("the errors of one partition", () => {
  for (const code of [Code.KAFKA_STORAGE_ERROR, Code.NOT_LEADER_OR_FOLLOWER, Code.NOT_ENOUGH_REPLICAS]) {
    it.effect(`delay no send to another: ${nameOf(code)}`, () =>
      Effect.gen(function* () {
        const broker = yield* MemoryBroker
        const wire = yield* Faults.wrap(broker.wire, { seed: 1, rules: rulesOf(code) })
        const producer = yield* Effect.provideService(KafkaProducer.make(), Wire, wire)
        yield* producer.sendAll([record(0), record(1)])
        yield* TestClock.adjust("1 second")
        const held = yield* Effect.fork(producer.send(record(0)))
        for (let i = 0; i < 40; i++) {
          const sending = yield* Effect.fork(producer.send(record(1)))
          yield* TestClock.adjust("20 millis")
          assert.strictEqual(sending.unsafePoll()?._tag, "Success", `send ${i}`)
          yield* TestClock.adjust("180 millis")
        }
        assert.isNull(held.unsafePoll())
        yield* TestClock.adjust("1 minute")
        assert.strictEqual((yield* Fiber.join(held)).partition, 0)
      }).pipe(onBroker({ topics: { [topic]: 2 } }))
    )
  }
})
