/**
 * Monotonic time, for measuring durations: the wall clock may be set. For Spillway's own runtimes; unstable.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import * as Effect from "effect/Effect"

/** Its nanoseconds are a bigint, which costs twice as much to read. */
const live = Context.get(DefaultServices.liveServices, Clock.Clock)

/** Milliseconds since an arbitrary moment. */
export const millis = (clock: Clock.Clock): number =>
  clock === live ? performance.now() : Number(clock.unsafeCurrentTimeNanos()) / 1e6

/** `millis` of the current clock. */
export const now: Effect.Effect<number> = Effect.clockWith((clock) => Effect.sync(() => millis(clock)))
