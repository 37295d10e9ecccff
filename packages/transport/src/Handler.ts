import type * as Effect from "effect/Effect"
import type { Envelope } from "./Envelope.js"

/**
 * Handles one envelope. Its result is ignored; its error channel says what to do (see `HandlerError`).
 */
export type Handler<A, E, R> = (envelope: Envelope<A>) => Effect.Effect<unknown, E, R>
