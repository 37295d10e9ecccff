/**
 * The clock that only moves forwards. Durations are measured by it, since the wall clock may be set.
 */
import type * as Clock from "effect/Clock"

/** Milliseconds since a moment of no meaning. */
export const millis = (clock: Clock.Clock): number => Number(clock.unsafeCurrentTimeNanos()) / 1e6
