/**
 * Forks user code. Effect logs a fiber's failure at Debug as the fiber ends; a logger that can't render the failure
 * throws at that point, and everything that awaits the fiber waits forever.
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as Option from "effect/Option"

const logLevel = FiberRef.unhandledErrorLogLevel

/** `Effect.fork` without that log line; fibers that the effect itself forks still log it. */
export const forkQuietly = <A, E, R>(
  effect: Effect.Effect<A, E, R>
): Effect.Effect<Fiber.RuntimeFiber<A, E>, never, R> =>
  Effect.flatMap(FiberRef.get(logLevel), (level) =>
    Effect.locally(Effect.fork(Effect.locally(effect, logLevel, level)), logLevel, Option.none())
  )
