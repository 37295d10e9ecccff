/**
 * A clock that only moves forwards. Durations are measured with it, because the wall clock can be set.
 */
import type * as Clock from "effect/Clock"

/** Milliseconds since an arbitrary moment. */
export const millis = (clock: Clock.Clock): number => Number(clock.unsafeCurrentTimeNanos()) / 1e6
