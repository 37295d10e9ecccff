/**
 * Forks what user code runs in. Effect logs a fiber's failure at Debug as the fiber ends; a logger that can't render the
 * failure throws then, and whoever waits for the fiber waits for ever.
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as Option from "effect/Option"

const logLevel = FiberRef.unhandledErrorLogLevel

/** `Effect.fork`, without that line; fibers that the effect itself forks have it. */
export const forkQuietly = <A, E, R>(
  effect: Effect.Effect<A, E, R>
): Effect.Effect<Fiber.RuntimeFiber<A, E>, never, R> =>
  Effect.flatMap(FiberRef.get(logLevel), (level) =>
    Effect.locally(Effect.fork(Effect.locally(effect, logLevel, level)), logLevel, Option.none())
  )
