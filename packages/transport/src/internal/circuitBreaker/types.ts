import type { HandlerFailure } from "../../HandlerError.js"

/** `closed` lets every record pass, `halfOpen` one, `open` none. */
export type CircuitBreakerState = "closed" | "halfOpen" | "open"

/** Options with their defaults filled in, durations in milliseconds. */
export interface CircuitBreakerSettings {
  readonly window:
    | { readonly _tag: "Count"; readonly count: number }
    | { readonly _tag: "Time"; readonly millis: number }
  readonly failureRatio: number
  readonly minimumThroughput: number
  readonly openMillis: number
  readonly factor: number
  readonly maxOpenMillis: number
  readonly probes: number
  readonly isFailure: (failure: HandlerFailure) => boolean
}
