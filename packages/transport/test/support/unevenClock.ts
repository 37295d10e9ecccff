/**
 * A test clock as uneven as a real machine's: its timers fire early, as Node's do, and its wall clock steps while
 * timers and the monotonic clock continue. `TestClock` alone does neither.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"

/** How early each timer fires, in milliseconds: Node's fire up to 1 ms early. A binary fraction adds up exactly. */
const earlyMs = 0.5

/** The longest delay that Node's timers support. */
const maxTimerMs = 2 ** 31 - 1

/** The initial wall clock: 2024-01-01T00:00:00Z. The monotonic clock starts at 0. */
const epoch = 1_704_067_200_000

export interface UnevenClock {
  /** Moved by `TestClock.adjust`, like the test's own. */
  readonly clock: TestClock.TestClock
  /** Moves the wall clock by this many milliseconds, forwards or backwards. */
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

/** Runs a test, and everything it starts, on an uneven clock. */
export const unevenly = <A, E, R>(
  test: (step: UnevenClock["step"]) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => Effect.flatMap(make, ({ clock, step }) => Effect.withClock(test(step), clock))
