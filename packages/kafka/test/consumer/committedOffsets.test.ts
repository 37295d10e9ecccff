import { assert, describe, it } from "@effect/vitest"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import { KafkaErrorCode as Code, nameOf } from "@spillway/kafka/KafkaErrorCode"
import type { OffsetFetchRequest } from "@spillway/kafka/Protocol"
import { Wire } from "@spillway/kafka/Wire"
import * as Faults from "@spillway/memory/Faults"
import { MemoryBroker } from "@spillway/memory/MemoryBroker"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import { makeCalls, observed, onBroker, options, topic } from "../support/consumerTesting.js"

describe("a partition whose committed offset can't be fetched", () => {
  for (const code of [Code.UNSTABLE_OFFSET_COMMIT, Code.UNKNOWN_TOPIC_OR_PARTITION]) {
    it.effect(`doesn't hold up the others: ${nameOf(code)}`, () =>
      Effect.gen(function* () {
        const broker = yield* MemoryBroker
        const calls = makeCalls()
        const asked: Array<ReadonlyArray<number>> = []
        const faulty = yield* Faults.wrap(broker.wire, {
          seed: 1,
          rules: [
            {
              fault: { _tag: "Answer", code, when: "instead", partitions: [0] },
              apis: ["OffsetFetch"],
              until: "20 seconds"
            }
          ]
        })
        const wire = observed(faulty, (api, request) =>
          Effect.sync(() => {
            if (api !== "OffsetFetch") return
            asked.push((request as OffsetFetchRequest).topics?.flatMap(({ partitions }) => partitions) ?? [])
          })
        )
        yield* broker.produce(topic, [
          { value: "a", partition: 0 },
          { value: "b", partition: 1 }
        ])
        yield* Effect.fork(
          Effect.provideService(
            KafkaConsumer.make({ ...options, handler: calls.handler(() => Effect.void) }),
            Wire,
            wire
          )
        )
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(calls.values(), ["b"])
        yield* TestClock.adjust("18 seconds")
        assert.deepStrictEqual(calls.values(), ["b"])
        yield* TestClock.adjust("3 seconds")
        assert.deepStrictEqual(calls.values(), ["b", "a"])
        assert.deepStrictEqual(asked[0], [0, 1])
        assert.isTrue(asked.slice(1).every((partitions) => partitions.join() === "0"))
      }).pipe(onBroker({ topics: { [topic]: 2 } }))
    )
  }
})
