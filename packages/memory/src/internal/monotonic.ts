/**
 * A clock that only moves forwards. Durations are measured with it, because the wall clock can be set.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"

/** Its nanoseconds are a bigint, which costs twice as much to read. */
const live = Context.get(DefaultServices.liveServices, Clock.Clock)

/** Milliseconds since an arbitrary moment. */
export const millis = (clock: Clock.Clock): number =>
  clock === live ? performance.now() : Number(clock.unsafeCurrentTimeNanos()) / 1e6
