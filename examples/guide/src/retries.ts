import * as RetryPolicy from "@spillway/transport/RetryPolicy"
import * as Schedule from "effect/Schedule"

export const defaults = {
  // #region exponential
  retry: RetryPolicy.exponential({ retries: 3, base: "1 second", factor: 2, cap: "30 seconds", jitter: true })
  // #endregion
}

export const own = {
  // #region schedule
  // Every 10 seconds, for a minute.
  retry: Schedule.spaced("10 seconds").pipe(Schedule.upTo("1 minute"))
  // #endregion
}
