/**
 * A consumer's whole failure policy as one flat object, from the program or its environment: how often and after which
 * delays a failed record is retried, and what happens when handling fails permanently.
 *
 * ```ts
 * KafkaConsumer.layer({ groupId, topics, value, handler, ...ReliabilityConfig.options({ retryCount: 5 }) })
 * ```
 */
import * as Config from "effect/Config"
import type * as Duration from "effect/Duration"
import type { CircuitBreakerOptions } from "./CircuitBreaker.js"
import * as DeadLetter from "./DeadLetter.js"
import type { OptionIssue } from "./InvalidOptions.js"
import { settings as breaker } from "./internal/circuitBreaker/settings.js"
import { retry, settings } from "./internal/reliabilitySettings.js"
import type { Producer } from "./Producer.js"
import * as RetryPolicy from "./RetryPolicy.js"
import * as CarriedIssues from "./runtime/CarriedIssues.js"
import { checkHeaders } from "./runtime/DeadLetter.js"
import * as Settings from "./runtime/Settings.js"

/** The policy's options; all have defaults. */
export interface ReliabilityConfig {
  /** Retries after the first attempt; `Infinity` for no limit. Default: 3. */
  readonly retryCount?: number | undefined
  /** The delay before the first retry. Default: 1 second. */
  readonly retryBackoff?: Duration.DurationInput | undefined
  /** The factor between one delay and the next, at least 1. Default: 2. */
  readonly retryBackoffMultiplier?: number | undefined
  /** The longest delay; jitter shortens delays by up to one half. Default: 30 seconds. */
  readonly maxRetryBackoff?: Duration.DurationInput | undefined
  /** Whether records whose handling fails permanently become dead letters. Default: true. */
  readonly dlqEnabled?: boolean | undefined
  /**
   * Their handling if `dlqEnabled` is false: `"stop"` fails the consumer at the record, which stays uncommitted;
   * `"skip"` logs, counts and discards it. Default: `"stop"`.
   */
  readonly withoutDlq?: "stop" | "skip" | undefined
  /** The dead letter topic. Default: the source topic's name with `-dlq` appended. */
  readonly dlqTopic?: string | undefined
  /** The header convention of dead letters. Default: `"spillway"`. */
  readonly dlqHeaders?: DeadLetter.DeadLetterPreset | undefined
  /** The dead letters' header of the number of retries. Default: `x-retry-count`. */
  readonly dlqRetryHeader?: string | undefined
  /** The dead letters' header of the error's message. Default: that of `dlqHeaders`, `x-error-message`. */
  readonly dlqErrorHeader?: string | undefined
  /** The dead letters' header of the time of failure. Default: `x-failed-timestamp`. */
  readonly dlqTimestampHeader?: string | undefined
  /** What to do when the broker rejects a dead letter as too large. Default: `"block"`. */
  readonly dlqTooLarge?: "block" | "stop" | undefined
  /**
   * Stops calling the handler while its dependency is down: `true` uses the defaults; an object sets options. Default:
   * false.
   */
  readonly circuitBreaker?: boolean | CircuitBreakerOptions | undefined
  /** Whether the consumer counts in the metrics that `TransportMetrics` turned on. Default: true. */
  readonly enableMetrics?: boolean | undefined
}

/** The consumer options that make up the policy. */
export interface Reliability<out R> {
  /** How often and after which delays a failed record is retried. */
  readonly retry: RetryPolicy.RetryPolicy
  /** What happens to records whose handling fails permanently. */
  readonly deadLetter: DeadLetter.DeadLetterPolicy<R>
  /** The breaker's options; `undefined` for no breaker. */
  readonly circuitBreaker: CircuitBreakerOptions | undefined
  /** Whether the consumer counts in the metrics. */
  readonly metrics: boolean
}

const headersOf = (config: ReliabilityConfig): DeadLetter.DeadLetterHeaderNames => ({
  preset: config.dlqHeaders,
  retryCount: config.dlqRetryHeader,
  errorMessage: config.dlqErrorHeader,
  failedTimestamp: config.dlqTimestampHeader
})

const breakerOf = ({ circuitBreaker = false }: ReliabilityConfig): CircuitBreakerOptions | undefined =>
  circuitBreaker === true ? {} : circuitBreaker || undefined

/** Every invalid value. */
const check = (config: ReliabilityConfig): ReadonlyArray<OptionIssue> => {
  const { issues } = Settings.check(settings, config)
  return issues.some(({ field }) => field === "dlqHeaders")
    ? issues
    : [
        ...issues,
        ...checkHeaders(headersOf(config)).map((issue) => ({
          ...issue,
          field: headerFields[issue.field] ?? issue.field
        }))
      ]
}

const headerFields: Readonly<Record<string, keyof ReliabilityConfig>> = {
  preset: "dlqHeaders",
  retryCount: "dlqRetryHeader",
  errorMessage: "dlqErrorHeader",
  failedTimestamp: "dlqTimestampHeader"
}

/**
 * The policy as options of a consumer, without dead letters. A consumer with invalid options fails with `InvalidOptions`
 * at its start, which names each by its name here.
 */
export function options(config: ReliabilityConfig & { readonly dlqEnabled: false }): Reliability<never>
/**
 * The policy as options of a consumer, which then needs a `Producer` for the dead letters. A consumer with invalid
 * options fails with `InvalidOptions` at its start, which names each by its name here.
 */
export function options(config?: ReliabilityConfig): Reliability<Producer>
export function options(config: ReliabilityConfig = {}): Reliability<Producer> {
  const issues = check(config)
  const ofRetry = issues.filter(({ field }) => field in retry)
  // The consumer itself finds those of the breaker.
  const others = issues.filter((issue) => !ofRetry.includes(issue) && !issue.field.startsWith("circuitBreaker."))
  const { dlqEnabled = true, withoutDlq = "stop" } = config
  const topic = DeadLetter.topic(config.dlqTopic, { headers: headersOf(config), tooLarge: config.dlqTooLarge })
  return {
    retry:
      ofRetry.length > 0
        ? CarriedIssues.schedule(settings.module, ofRetry)
        : RetryPolicy.exponential({
            retries: config.retryCount,
            base: config.retryBackoff,
            factor: config.retryBackoffMultiplier,
            cap: config.maxRetryBackoff
          }),
    deadLetter: CarriedIssues.carry(dlqEnabled ? topic : DeadLetter.none(withoutDlq), others),
    circuitBreaker: breakerOf(config),
    metrics: config.enableMetrics ?? true
  }
}

/** A breaker's options; a window is one variable, in both of its forms. */
const breakerConfig = (defaults: CircuitBreakerOptions | undefined, namespace: string | undefined) =>
  Settings.config<CircuitBreakerOptions>(breaker, defaults, namespace, (options) =>
    Settings.check(breaker, options).issues.map((issue) => ({
      ...issue,
      field: issue.field.replace(/^window\..*/, "window")
    }))
  )

/**
 * The policy from the environment: `RELIABILITY_RETRY_COUNT`, `RELIABILITY_DLQ_TOPIC` and so on, named after the
 * options; within a namespace `ORDERS`, `ORDERS_RELIABILITY_RETRY_COUNT`. The breaker's options are
 * `RELIABILITY_CIRCUIT_BREAKER_WINDOW` (calls, or a duration) and so on; any of them turns it on, unless
 * `RELIABILITY_CIRCUIT_BREAKER` is `false`. `defaults` supplies every option without a variable.
 */
export const config = (
  defaults: ReliabilityConfig = {},
  namespace?: string | undefined
): Config.Config<ReliabilityConfig> => {
  return Config.map(
    Config.all([
      Settings.config<ReliabilityConfig>(settings, defaults, namespace, check),
      breakerConfig(breakerOf(defaults), namespace)
    ]),
    ([options, circuitBreaker]) =>
      options.circuitBreaker === false || Object.keys(circuitBreaker).length === 0
        ? options
        : { ...options, circuitBreaker }
  )
}
