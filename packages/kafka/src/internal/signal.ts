/**
 * Wakes every fibre that waits for something to change. Waiters re-check their condition themselves, so a wake-up that
 * comes with nothing to do is harmless.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"

export interface Signal {
  /**
   * Ends at the next `notify` after the call, whenever it is run: called in the same synchronous step as the check of
   * the condition, it misses no change though the fibre may yield between the two.
   */
  readonly wait: () => Effect.Effect<void>
  readonly notify: () => void
}

export const make = (): Signal => {
  let next: Deferred.Deferred<void> | undefined
  return {
    wait: () => {
      next ??= Deferred.unsafeMake<void>(FiberId.none)
      return Deferred.await(next)
    },
    notify: () => {
      if (next === undefined) return
      const waiting = next
      next = undefined
      Deferred.unsafeDone(waiting, Effect.void)
    }
  }
}
