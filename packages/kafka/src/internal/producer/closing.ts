/**
 * Whether a producer still accepts records, and the failure of those that it doesn't.
 */
import * as Deferred from "effect/Deferred"
import type * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import type { Failure } from "./decisions.js"

export const closed: Failure = { reason: "Closed", description: "the producer is closed" }

export interface Closing {
  readonly hasBegun: () => boolean
  /** Accepts nothing from now on. */
  readonly begin: () => void
  /** Fails every waiter of `over`. */
  readonly end: Effect.Effect<void>
  /** Fails once the producer is closed. */
  readonly over: Effect.Effect<never, Failure>
}

export const make = (): Closing => {
  const over = Deferred.unsafeMake<never, Failure>(FiberId.none)
  let hasBegun = false
  return {
    hasBegun: () => hasBegun,
    begin: () => {
      hasBegun = true
    },
    end: Deferred.fail(over, closed),
    over: Deferred.await(over)
  }
}
