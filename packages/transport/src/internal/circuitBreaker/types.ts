import type { HandlerFailure } from "../../HandlerError.js"

/** `closed` admits every record, `halfOpen` one, `open` none. */
export type CircuitBreakerState = "closed" | "halfOpen" | "open"

/** Options with their defaults, durations in milliseconds. */
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
