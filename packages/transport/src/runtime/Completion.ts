/**
 * A result that is set once, for all waiters. A deferred would work, at several times the cost. For Spillway's own
 * runtimes; unstable.
 */
import * as Effect from "effect/Effect"

/** A result, and how to wait for it. */
export interface Result<A, E = never> {
  /** Completes with the result. */
  readonly wait: Effect.Effect<A, E>
  /** Only the first call counts. */
  readonly done: (result: Effect.Effect<A, E>) => void
}

/** A result that isn't set yet. */
export const make = <A, E = never>(): Result<A, E> => {
  const waiting = new Set<(result: Effect.Effect<A, E>) => void>()
  let result: Effect.Effect<A, E> | undefined
  return {
    wait: Effect.async((resume) => {
      if (result !== undefined) return resume(result)
      waiting.add(resume)
      return Effect.sync(() => waiting.delete(resume))
    }),
    done: (given) => {
      if (result !== undefined) return
      result = given
      for (const resume of waiting) resume(given)
      waiting.clear()
    }
  }
}
