import type { HandlerFailure } from "../../HandlerError.js"

/** Options with their defaults, durations in milliseconds. */
export interface CircuitBreakerSettings {
  /** The calls that count: the last `count`, or those within the last `millis`. */
  readonly window:
    | { readonly _tag: "Count"; readonly count: number }
    | { readonly _tag: "Time"; readonly millis: number }
  /** The share of failed calls that opens the breaker: above 0, up to 1. */
  readonly failureRatio: number
  /** With fewer calls in the window the breaker stays closed. */
  readonly minimumThroughput: number
  /** The time until the first probe. */
  readonly openMillis: number
  /** The factor by which the open time grows with each failed probe. */
  readonly factor: number
  /** The longest open time. */
  readonly maxOpenMillis: number
  /** The number of consecutive probes that must succeed to close the breaker. */
  readonly probes: number
  /** Whether a failure counts. */
  readonly isFailure: (failure: HandlerFailure) => boolean
}
