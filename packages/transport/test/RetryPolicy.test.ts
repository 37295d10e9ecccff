import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as fc from "fast-check"
import { InvalidOptions } from "../src/InvalidOptions.js"
import * as ScheduleCursor from "../src/internal/scheduleCursor.js"
import * as RetryPolicy from "../src/RetryPolicy.js"
import { carriedBy } from "../src/runtime/CarriedIssues.js"
import { failureOf } from "../src/runtime/Failure.js"

const failure = failureOf(Cause.fail("failed"), 1)

const delays = Effect.fnUntraced(function* (policy: RetryPolicy.RetryPolicy, limit = 100) {
  const delays: Array<number> = []
  let step = yield* ScheduleCursor.make(policy).next(failure)
  while (Option.isSome(step) && delays.length < limit) {
    delays.push(Duration.toMillis(step.value.delay))
    step = yield* step.value.cursor.next(failure)
  }
  return delays
})

const randomly = (value: number) => Effect.withRandom(Random.fixed([value]))

describe("RetryPolicy", () => {
  it.effect("retries three times after 1, 2 and 4 s by default, shortened by up to one half", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* delays(RetryPolicy.exponential({ jitter: false })), [1_000, 2_000, 4_000])
      assert.deepStrictEqual(yield* randomly(0)(delays(RetryPolicy.exponential())), [1_000, 2_000, 4_000])
      assert.deepStrictEqual(yield* randomly(0.5)(delays(RetryPolicy.exponential())), [750, 1_500, 3_000])
    })
  )

  it.effect("caps at 30 s by default", () =>
    Effect.gen(function* () {
      const policy = RetryPolicy.exponential({ retries: 7, jitter: false })
      assert.deepStrictEqual(yield* delays(policy), [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000])
    })
  )

  it.effect("accepts base, factor and cap", () =>
    Effect.gen(function* () {
      const policy = RetryPolicy.exponential({ retries: 4, base: "10 millis", factor: 3, cap: 200, jitter: false })
      assert.deepStrictEqual(yield* delays(policy), [10, 30, 90, 200])
    })
  )

  it.effect("continues forever with infinite retries, at the cap", () =>
    Effect.gen(function* () {
      const all = yield* delays(RetryPolicy.exponential({ retries: Infinity, cap: "5 seconds" }), 10_000)
      assert.strictEqual(all.length, 10_000)
      assert.isTrue(all.every((delay) => delay >= 500 && delay <= 5_000))
    })
  )

  it.effect("fixed waits the same before each retry", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* delays(RetryPolicy.fixed()), [1_000, 1_000, 1_000])
      assert.deepStrictEqual(yield* delays(RetryPolicy.fixed({ retries: 2, delay: "3 seconds" })), [3_000, 3_000])
    })
  )

  it.effect("none retries nothing, like a policy with zero retries", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* delays(RetryPolicy.none), [])
      assert.deepStrictEqual(yield* delays(RetryPolicy.exponential({ retries: 0 })), [])
    })
  )

  it("carries every issue with its options, and so do the schedules made from it", () => {
    const refused = (field: string, value: unknown, make: () => Schedule.Schedule<number>) => {
      const policy = make()
      for (const made of [policy, Schedule.jittered(policy), Schedule.union(Schedule.forever, policy)]) {
        const [issue, ...others] = carriedBy(made)
        assert.deepStrictEqual(others, [])
        assert.deepInclude(issue, { field: `retry.${field}`, value })
        assert.include(issue!.description, "must be")
      }
    }
    assert.deepStrictEqual(
      carriedBy(RetryPolicy.exponential({ retries: -1, factor: 0 })).map(({ field }) => field),
      ["retry.retries", "retry.factor"]
    )
    assert.deepStrictEqual(carriedBy(Schedule.jittered(RetryPolicy.exponential())), [])
    for (const retries of [-1, 1.5, Number.NaN, Number.NEGATIVE_INFINITY]) {
      refused("retries", retries, () => RetryPolicy.exponential({ retries }))
      refused("retries", retries, () => RetryPolicy.fixed({ retries }))
    }
    for (const factor of [0, 0.5, -2, Number.NaN, Infinity]) {
      refused("factor", factor, () => RetryPolicy.exponential({ factor }))
    }
    const durations: ReadonlyArray<Duration.DurationInput> = [
      -1,
      Number.NaN,
      Infinity,
      -5n,
      "-1 seconds",
      [-1, 0],
      Duration.infinity
    ]
    for (const duration of durations) {
      refused("base", duration, () => RetryPolicy.exponential({ base: duration }))
      refused("cap", duration, () => RetryPolicy.exponential({ cap: duration }))
      refused("delay", duration, () => RetryPolicy.fixed({ delay: duration }))
    }
  })

  it.effect("dies with InvalidOptions outside of a consumer", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(Effect.retry(Effect.fail("no"), RetryPolicy.fixed({ retries: 0.5 })))
      assert(Exit.isFailure(exit))
      const [defect] = Chunk.toReadonlyArray(Cause.defects(exit.cause))
      assert.instanceOf(defect, InvalidOptions)
      assert.strictEqual(defect.message, "RetryPolicy: retries must be a whole number, at least 0, not 0.5")
    })
  )

  it("accepts every whole number of retries", () => {
    fc.assert(fc.property(fc.nat(), (retries) => void RetryPolicy.exponential({ retries })))
  })
})
