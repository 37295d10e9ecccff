/**
 * A test clock as uneven as a real machine's: its timers fire before their time, as Node's do, and its wall clock steps
 * while timers and the monotonic clock run on. `TestClock` alone does neither.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"

/** How much too early each timer fires, in milliseconds: Node's fire up to 1 ms early. A binary fraction adds up exactly. */
const earlyMs = 0.5

/** The longest delay that Node's timers hold. */
const maxTimerMs = 2 ** 31 - 1

/** What the wall clock shows at first: 2024-01-01T00:00:00Z. The monotonic clock begins at 0. */
const epoch = 1_704_067_200_000

export interface UnevenClock {
  /** Moved by `TestClock.adjust`, as the test's own. */
  readonly clock: TestClock.TestClock
  /** Moves the wall clock by so many milliseconds, forwards or backwards. */
  readonly step: (millis: number) => void
}

export const make: Effect.Effect<UnevenClock> = Effect.map(TestClock.testClock(), (even) => {
  let offset = epoch
  const wall = () => Math.floor(even.unsafeCurrentTimeMillis()) + offset
  const nanos = () => even.unsafeCurrentTimeNanos()
  const sleep = (duration: Duration.Duration): Effect.Effect<void> => {
    const millis = Duration.toMillis(duration)
    if (millis > maxTimerMs) return Effect.never
    return even.sleep(Duration.millis(millis > 0 ? Math.max(1, Math.trunc(millis)) - earlyMs : 0))
  }
  const clock: TestClock.TestClock = Object.assign(Object.create(even), {
    sleep,
    unsafeCurrentTimeMillis: wall,
    currentTimeMillis: Effect.sync(wall),
    unsafeCurrentTimeNanos: nanos,
    currentTimeNanos: Effect.sync(nanos)
  })
  return {
    clock,
    step: (millis) => {
      offset += millis
    }
  }
})

/** Runs a test, and all that it makes, by an uneven clock. */
export const unevenly = <A, E, R>(
  test: (step: UnevenClock["step"]) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => Effect.flatMap(make, ({ clock, step }) => Effect.withClock(test(step), clock))
