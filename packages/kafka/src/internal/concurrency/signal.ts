/**
 * Wakes every fibre that waits for something to change. Waiters re-check their condition themselves, so a wake-up that
 * comes with nothing to do is harmless.
 */
import * as Effect from "effect/Effect"

export interface Signal {
  /**
   * Ends at the next `notify` after the call, whenever it is run: called in the same synchronous step as the check of
   * the condition, it misses no change though the fibre may yield between the two.
   */
  readonly wait: () => Effect.Effect<void>
  readonly notify: () => void
}

/** Those who wait for the same notification. */
interface Waiting {
  over: boolean
  readonly resumes: Set<(end: Effect.Effect<void>) => void>
}

export const make = (): Signal => {
  let next: Waiting | undefined
  return {
    wait: () => {
      next ??= { over: false, resumes: new Set() }
      const waiting = next
      // A deferred would do, at several times the cost.
      return Effect.async((resume) => {
        if (waiting.over) return resume(Effect.void)
        waiting.resumes.add(resume)
        return Effect.sync(() => waiting.resumes.delete(resume))
      })
    },
    notify: () => {
      if (next === undefined) return
      const waiting = next
      next = undefined
      waiting.over = true
      for (const resume of waiting.resumes) resume(Effect.void)
    }
  }
}
