/**
 * How often and after which delays a failed record is handled again. A policy is a `Schedule` over the failure, so any
 * schedule of the user's own can take its place.
 */
import * as Duration from "effect/Duration"
import * as Schedule from "effect/Schedule"
import type { HandlerFailure } from "./HandlerError.js"

export type RetryPolicy = Schedule.Schedule<unknown, HandlerFailure>

export interface ExponentialOptions {
  /** Retries after the first attempt. Default: 3. */
  readonly retries?: number | undefined
  /** The delay before the first retry. Default: 1 second. */
  readonly base?: Duration.DurationInput | undefined
  /** What each delay is multiplied by for the next. Default: 2. */
  readonly factor?: number | undefined
  /** No delay is longer. Default: 30 seconds. */
  readonly cap?: Duration.DurationInput | undefined
  /** Shortens each delay by a random share of up to one half, so that retries spread out. Default: true. */
  readonly jitter?: boolean | undefined
}
