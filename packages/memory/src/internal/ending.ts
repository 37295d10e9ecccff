/**
 * The end of a connection, which comes once.
 */
import type { WireError } from "@spillway/kafka/Wire"
import * as Effect from "effect/Effect"

export interface Ending {
  /** Ends, with the reason, when the connection has. Who stops waiting is forgotten with the connection, not before. */
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
