import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import * as Reachability from "../../src/internal/cluster/reachability.js"
import { logged } from "../support/logged.js"

const broker = "kafka:9092"
const refused = Cause.fail("refused")
const [lost, again] = ["The broker can't be reached; retrying", "The broker can be reached again"]

describe("A broker that can't be reached", () => {
  it.effect("is logged at once, every 30 seconds with duration and count, and at its recovery", () =>
    logged((lines) =>
      Effect.gen(function* () {
        const { answered, failed, isUnreachable } = yield* Reachability.make
        for (let second = 0; second <= 70; second++) {
          yield* failed(broker, refused)
          yield* TestClock.adjust("1 second")
        }
        assert.isTrue(isUnreachable(broker))
        yield* answered(broker)
        yield* answered(broker)
        assert.isFalse(isUnreachable(broker))
        assert.deepStrictEqual(
          lines.map(({ annotations, message }) => [message, annotations["attempts"], annotations["seconds"]]),
          [
            [lost, undefined, undefined],
            [lost, 31, 30],
            [lost, 61, 60],
            [again, 71, 71]
          ]
        )
      })
    )
  )

  it.effect("logs at most two lines per broker in 30 seconds, even if it flaps", () =>
    logged((lines) =>
      Effect.gen(function* () {
        const { answered, failed, isUnreachable, retain } = yield* Reachability.make
        for (let i = 0; i < 650; i++) {
          yield* failed(broker, refused)
          yield* answered(broker)
          yield* TestClock.adjust("100 millis")
        }
        yield* failed("other:9092", refused)
        assert.deepStrictEqual(
          lines.map(({ annotations, message }) => [annotations["broker"], message, annotations["attempts"]]),
          [
            [broker, lost, undefined],
            [broker, again, 1],
            [broker, lost, 301],
            [broker, again, 301],
            [broker, lost, 601],
            [broker, again, 601],
            ["other:9092", lost, undefined]
          ]
        )
        yield* TestClock.adjust("1 minute")
        yield* failed(broker, refused)
        assert.isUndefined(lines.at(-1)!.annotations["attempts"])
        retain(["other:9092"])
        assert.isFalse(isUnreachable(broker))
        assert.isTrue(isUnreachable("other:9092"))
      })
    )
  )
})
