/**
 * Wakes every fiber that waits for a change. Waiters check their condition again, so a spurious wake-up is harmless.
 */
import * as Effect from "effect/Effect"

export interface Signal {
  /**
   * Ends at the next `notify` after the call, even if it is run later. Call it in the same synchronous step as the
   * check of the condition: then no change is missed if the fiber yields between the two.
   */
  readonly wait: () => Effect.Effect<void>
  readonly notify: () => void
}

/** The waiters for the next notification. */
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
      // A deferred would work, at several times the cost.
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
