/**
 * The delays between tries of what the runtime itself repeats: connecting, looking up, joining, committing.
 */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"

export interface Backoff {
  /** Sleeps for the next delay. */
  readonly next: Effect.Effect<void>
  readonly reset: () => void
}

/**
 * Exponential from `base` to `cap` milliseconds, each delay shortened at random by up to a half, to whole milliseconds:
 * `TestClock` can't tell the time in nanoseconds after others.
 */
export const make = (base = 100, cap = 1_000): Backoff => {
  let delay = base
  return {
    next: Effect.suspend(() => {
      const current = delay
      delay = Math.min(delay * 2, cap)
      return Effect.flatMap(Random.next, (random) => Effect.sleep(Math.ceil(current * (1 - random / 2))))
    }),
    reset: () => {
      delay = base
    }
  }
}
