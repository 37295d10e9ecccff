import type * as Effect from "effect/Effect"
import type { Envelope } from "./Envelope.js"

/**
 * Handles one envelope. The result is ignored; the error channel decides what follows (see `HandlerError`).
 */
export type Handler<A, E, R, K = Uint8Array | null> = (envelope: Envelope<A, K>) => Effect.Effect<unknown, E, R>
