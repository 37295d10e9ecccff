/**
 * Stops a consumer from calling its handler while a dependency of the handler is down. While a breaker is open, no
 * handler is called and every partition waits. After the open time, one record passes as a probe: its result closes the
 * breaker or opens it for longer.
 *
 * A failure that opens the breaker, or that occurs while it is open or half-open, uses up none of the record's retries:
 * the record is retried at the same attempt when the breaker lets it through. So a breaker never causes a dead letter.
 *
 * A failure counts if it would be retried: neither a `NonRetryableError` nor a value that doesn't decode counts.
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { HandlerFailure } from "./HandlerError.js"

/** `closed` admits every record, `halfOpen` one, `open` none. */
export type CircuitBreakerState = "closed" | "halfOpen" | "open"

/** The options of a consumer's circuit breaker; all have defaults. */
export interface CircuitBreakerOptions {
  /**
   * The handler calls that count: the last `count`, or those within the last `time`. Default: the last 20. A large
   * window notices an outage late: records may run out of retries first.
   */
  readonly window?: { readonly count: number } | { readonly time: Duration.DurationInput } | undefined
  /** The breaker opens when at least this share of the window's calls failed: above 0, up to 1. Default: 0.5. */
  readonly failureRatio?: number | undefined
  /**
   * The breaker stays closed while the window holds fewer calls. Default: 10. Keep it above the attempts per record
   * (the policy's retries plus 1), or a single bad record can open the breaker.
   */
  readonly minimumThroughput?: number | undefined
  /** How long the breaker stays open before the first probe. Default: 5 seconds. */
  readonly openTime?: Duration.DurationInput | undefined
  /** The factor by which the open time grows with each failed probe, at least 1. Default: 2. */
  readonly factor?: number | undefined
  /** The longest open time. Default: 30 seconds. */
  readonly maxOpenTime?: Duration.DurationInput | undefined
  /** The number of consecutive probes that must succeed to close the breaker. Default: 1. */
  readonly probes?: number | undefined
  /**
   * Selects which of the failures that would be retried count; the others use up retries as they do without a breaker.
   * Default: all. Exclude failures that the record itself causes: a probe with such a record would keep the breaker
   * open. If the predicate throws, the failure counts.
   */
  readonly isFailure?: ((failure: HandlerFailure) => boolean) | undefined
}

/** The public view of a consumer's breaker. */
export interface CircuitBreaker {
  /** The current state. */
  readonly state: Effect.Effect<CircuitBreakerState>
  /** The current state, then each change, until the consumer ends. */
  readonly changes: Stream.Stream<CircuitBreakerState>
}
