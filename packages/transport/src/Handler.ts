import type * as Effect from "effect/Effect"
import type { Envelope } from "./Envelope.js"

/**
 * Handles one envelope. The result is ignored; the error channel decides what follows (see `HandlerError`).
 */
export type Handler<A, E, R> = (envelope: Envelope<A>) => Effect.Effect<unknown, E, R>
