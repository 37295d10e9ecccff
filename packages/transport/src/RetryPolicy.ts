/**
 * How often and after which delays a failed record is retried. A policy is a `Schedule` over the failure, so any
 * schedule can replace it.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import type { HandlerFailure } from "./HandlerError.js"
import * as Backoff from "./internal/backoff.js"
import * as RetrySettings from "./internal/retrySettings.js"
import * as CarriedIssues from "./runtime/CarriedIssues.js"
import * as Settings from "./runtime/Settings.js"

/** A schedule over the failures of a record. It ends when the record is not retried any more. */
export type RetryPolicy = Schedule.Schedule<unknown, HandlerFailure>

/** The options of `exponential`. */
export interface ExponentialOptions {
  /** Retries after the first attempt; `Infinity` for no limit. Default: 3. */
  readonly retries?: number | undefined
  /** The delay before the first retry. Default: 1 second. */
  readonly base?: Duration.DurationInput | undefined
  /** The factor between one delay and the next, at least 1. Default: 2. */
  readonly factor?: number | undefined
  /** The longest delay. Default: 30 seconds. */
  readonly cap?: Duration.DurationInput | undefined
  /** Shortens each delay by a random share of up to one half, which spreads retries out. Default: true. */
  readonly jitter?: boolean | undefined
}

/** The options of `fixed`. */
export interface FixedOptions {
  /** Retries after the first attempt; `Infinity` for no limit. Default: 3. */
  readonly retries?: number | undefined
  /** The delay before each retry. Default: 1 second. */
  readonly delay?: Duration.DurationInput | undefined
}

const exponentialSettings = {
  module: "RetryPolicy",
  prefix: "",
  fields: {
    retries: RetrySettings.retries({ meaning: "retries after the first attempt" }),
    base: RetrySettings.delay({ meaning: "the delay before the first retry" }, "1 second"),
    factor: RetrySettings.factor({ meaning: "the factor from each delay to the next" }),
    cap: RetrySettings.delay({ meaning: "the longest delay" }, "30 seconds"),
    jitter: Settings.or(Settings.boolean({ meaning: "whether delays are shortened at random" }), true)
  } satisfies Settings.FieldsOf<ExponentialOptions>
}

const fixedSettings = {
  module: "RetryPolicy",
  prefix: "",
  fields: {
    retries: RetrySettings.retries({ meaning: "retries after the first attempt" }),
    delay: RetrySettings.delay({ meaning: "the delay before each retry" }, "1 second")
  } satisfies Settings.FieldsOf<FixedOptions>
}

/**
 * Delays that grow by a factor up to a maximum. A consumer with a policy of invalid options fails with
 * `InvalidOptions` at its start; anywhere else such a policy dies with it.
 */
export const exponential = (options: ExponentialOptions = {}): Schedule.Schedule<number> => {
  const { issues, values } = Settings.check(exponentialSettings, options)
  if (issues.length > 0) return CarriedIssues.schedule("RetryPolicy", issues, "retry.")
  return recurs(values.retries, (retry) =>
    Effect.map(values.jitter ? Random.next : Effect.succeed(0), (random) => Backoff.delay(values, retry, random))
  )
}

/** A constant delay before each retry. Invalid options fail as those of `exponential` do. */
export const fixed = (options: FixedOptions = {}): Schedule.Schedule<number> => {
  const { issues, values } = Settings.check(fixedSettings, options)
  return issues.length > 0
    ? CarriedIssues.schedule("RetryPolicy", issues, "retry.")
    : recurs(values.retries, () => Effect.succeed(values.delay))
}

/** No retries: the first failure is final. */
export const none: Schedule.Schedule<number> = Schedule.recurs(0)

const recurs = (retries: number, delay: (retry: number) => Effect.Effect<number>): Schedule.Schedule<number> =>
  Schedule.addDelayEffect(Schedule.recurs(retries), delay)
