import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as TestClock from "effect/TestClock"
import * as ScheduleCursor from "../../src/internal/scheduleCursor.js"
import { unevenly } from "../support/unevenClock.js"

const delays = Effect.fnUntraced(function* <In>(schedule: Schedule.Schedule<unknown, In>, inputs: ReadonlyArray<In>) {
  let cursor = ScheduleCursor.make(schedule)
  const delays: Array<number> = []
  for (const input of inputs) {
    const step = yield* cursor.next(input)
    if (Option.isNone(step)) return [...delays, "done"]
    delays.push(Duration.toMillis(step.value.delay))
    cursor = step.value.cursor
  }
  return delays
})

describe("ScheduleCursor", () => {
  it.effect("returns a schedule's delays without sleeping, then its end", () =>
    Effect.gen(function* () {
      const schedule = Schedule.intersect(Schedule.exponential("1 second"), Schedule.recurs(3))
      assert.deepStrictEqual(yield* delays(schedule, [1, 2, 3, 4, 5]), [1_000, 2_000, 4_000, "done"])
      assert.strictEqual(yield* Clock.currentTimeMillis, 0)
    })
  )

  it.effect("passes the input to the schedule", () =>
    Effect.gen(function* () {
      const schedule = Schedule.whileInput(Schedule.spaced("5 seconds"), (input: string) => input !== "stop")
      assert.deepStrictEqual(yield* delays(schedule, ["go", "go", "stop"]), [5_000, 5_000, "done"])
    })
  )

  it.effect("reads the clock at each step", () =>
    Effect.gen(function* () {
      const first = yield* ScheduleCursor.make(Schedule.fixed("10 seconds")).next(undefined)
      yield* TestClock.adjust("13 seconds")
      const second = yield* Option.getOrThrow(first).cursor.next(undefined)
      assert.strictEqual(Duration.toMillis(Option.getOrThrow(second).delay), 7_000)
    })
  )

  it.effect("keeps its position: each cursor can be stepped again", () =>
    Effect.gen(function* () {
      const cursor = ScheduleCursor.make(Schedule.exponential("1 second"))
      const once = yield* cursor.next(undefined)
      const again = yield* cursor.next(undefined)
      assert.deepStrictEqual(Option.getOrThrow(once).delay, Option.getOrThrow(again).delay)
    })
  )

  it.effect("measures its duration though the wall clock was set", () =>
    unevenly((step) =>
      Effect.gen(function* () {
        const schedule = Schedule.upTo(Schedule.spaced("1 second"), "10 seconds")
        yield* TestClock.adjust("2 hours")
        for (const millis of [-3_600_000, 3_600_000]) {
          const first = yield* ScheduleCursor.make(schedule).next(undefined)
          step(millis)
          yield* TestClock.adjust("9 seconds")
          const second = yield* Option.getOrThrow(first).cursor.next(undefined)
          assert.strictEqual(Duration.toMillis(Option.getOrThrow(second).delay), 1_000)
          yield* TestClock.adjust("2 seconds")
          assert.isTrue(Option.isNone(yield* Option.getOrThrow(second).cursor.next(undefined)))
        }
      })
    )
  )
})
