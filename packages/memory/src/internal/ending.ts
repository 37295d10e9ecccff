/**
 * The end of a connection, which happens once.
 */
import type { WireError } from "@spillway/kafka/Wire"
import * as Effect from "effect/Effect"

export interface Ending {
  /** Completes with the reason when the connection ends. A waiter that stops waiting stays registered until then. */
  readonly closed: Effect.Effect<WireError>
  readonly reason: () => WireError | undefined
  readonly end: (reason: WireError) => void
}

export const make = (): Ending => {
  const waiting: Array<(closed: Effect.Effect<WireError>) => void> = []
  let reason: WireError | undefined
  return {
    closed: Effect.async((resume) => {
      if (reason === undefined) waiting.push(resume)
      else resume(Effect.succeed(reason))
    }),
    reason: () => reason,
    end: (given) => {
      reason = given
      for (const resume of waiting.splice(0)) resume(Effect.succeed(given))
    }
  }
}
