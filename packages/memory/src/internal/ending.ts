/**
 * The end of a connection, which happens once.
 */
import type { WireError } from "@spillway/kafka/Wire"
import * as Completion from "@spillway/transport/runtime/Completion"
import * as Effect from "effect/Effect"

export interface Ending {
  /** Completes with the reason when the connection ends. */
  readonly closed: Effect.Effect<WireError>
  readonly reason: () => WireError | undefined
  readonly end: (reason: WireError) => void
}

export const make = (): Ending => {
  const closed = Completion.make<WireError>()
  let reason: WireError | undefined
  return {
    closed: closed.wait,
    reason: () => reason,
    end: (given) => {
      reason = given
      closed.done(Effect.succeed(given))
    }
  }
}
