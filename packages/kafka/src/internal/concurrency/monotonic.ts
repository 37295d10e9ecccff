/**
 * The monotonic clock, for measuring durations: the wall clock may be set.
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

export const now: Effect.Effect<number> = Effect.clockWith((clock) => Effect.sync(() => millis(clock)))
