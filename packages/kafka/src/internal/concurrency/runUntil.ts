/**
 * Runs an effect until something ends it. Effect 3.22's `raceFirst` forks both sides, and may never end if it is
 * interrupted between the two.
 */

import type { Result } from "@spillway/transport/runtime/Completion"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { forkQuietly } from "./forkQuietly.js"
import type * as Signal from "./signal.js"

/** Runs an effect, which may fail, until the result is set; then interrupts it and waits for its end. */
export const done = <A, E, E2, R>(
  end: Result<A, E | E2>,
  effect: Effect.Effect<unknown, E, R>
): Effect.Effect<A, E | E2, R> =>
  Effect.flatMap(
    forkQuietly(
      Effect.interruptible(
        Effect.catchAllCause(effect, (cause) => Effect.sync(() => end.done(Effect.failCause(cause))))
      )
    ),
    (fiber) => Effect.ensuring(end.wait, Fiber.interrupt(fiber))
  )

/** `signal.wait()`, or an earlier call of it, that notifies the signal itself after this many milliseconds. */
export const notified = (signal: Signal.Signal, millis: number, wait = signal.wait()): Effect.Effect<void> =>
  Effect.flatMap(Effect.fork(Effect.zipRight(Effect.sleep(millis), Effect.sync(signal.notify))), (timer) =>
    Effect.ensuring(wait, Fiber.interrupt(timer))
  )
