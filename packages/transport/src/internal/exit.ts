import type * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"

/** `Exit.isExit` that keeps the types. */
export const isExit = <A, E, R>(effect: Effect.Effect<A, E, R>): effect is Exit.Exit<A, E> => Exit.isExit(effect)
