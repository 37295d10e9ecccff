import { assert, describe, it } from "@effect/vitest"
import { Wire } from "@spillway/kafka/Wire"
import * as Faults from "@spillway/memory/Faults"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import * as KafkaConsumer from "../../src/KafkaConsumer.js"
import { KafkaErrorCode } from "../../src/KafkaErrorCode.js"
import { onBroker, options, topic } from "../support/consumerTesting.js"

describe("Joining a group", () => {
  it.effect("is retried with delays while SyncGroup answers REBALANCE_IN_PROGRESS", () =>
    Effect.gen(function* () {
      let refused = 0
      const wire = yield* Faults.wrap(yield* Wire, {
        seed: 1,
        rules: [
          {
            fault: { _tag: "Answer", code: KafkaErrorCode.REBALANCE_IN_PROGRESS, when: "instead" },
            apis: ["SyncGroup"],
            until: "10 seconds"
          }
        ],
        onFault: () => {
          refused++
          // A member that doesn't wait would otherwise never let the clock advance.
          if (refused > 1_000) throw new Error("it joins without a pause")
        }
      })
      const joining = yield* Effect.fork(
        KafkaConsumer.make({ ...options, handler: () => Effect.void }).pipe(Effect.provideService(Wire, wire))
      )
      yield* TestClock.adjust("15 seconds")
      const consumer = yield* joining
      assert.strictEqual((yield* consumer.assignment).length, 1)
      assert.isAbove(refused, 2)
      assert.isBelow(refused, 40)
    }).pipe(onBroker({ topics: { [topic]: 1 } }))
  )
})
