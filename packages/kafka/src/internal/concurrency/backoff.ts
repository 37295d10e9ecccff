/**
 * The delays between the runtime's own retries: connecting, looking up coordinators, joining, committing.
 */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"

export interface Backoff {
  /** Sleeps for the next delay. */
  readonly next: Effect.Effect<void>
  readonly reset: () => void
}

/**
 * The delay after a number of failures, in milliseconds: exponential from `base` to `cap`, shortened by up to a half
 * (`random`, from 0 to 1). Rounded to whole milliseconds, since `TestClock` can't order times in nanoseconds.
 */
export const delayAfter = (failures: number, random: number, base: number, cap: number): number =>
  Math.ceil(Math.min(base * 2 ** (failures - 1), cap) * (1 - random / 2))

/** A backoff whose delays grow from `base` to `cap` milliseconds. */
export const make = (base = 100, cap = 1_000): Backoff => {
  let failures = 0
  return {
    next: Effect.suspend(() => {
      failures++
      return Effect.flatMap(Random.next, (random) => Effect.sleep(delayAfter(failures, random, base, cap)))
    }),
    reset: () => {
      failures = 0
    }
  }
}
