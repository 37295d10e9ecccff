/**
 * A consumer's whole failure policy as one flat object, from the program or its environment: how often and after which
 * delays a failed record is retried, and what happens when handling fails permanently.
 *
 * ```ts
 * KafkaConsumer.layer({ groupId, topics, value, handler, ...ReliabilityConfig.options({ retryCount: 5 }) })
 * ```
 */
import * as Config from "effect/Config"
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import type { CircuitBreakerOptions } from "./CircuitBreaker.js"
import * as DeadLetter from "./DeadLetter.js"
import * as BreakerEnvironment from "./internal/circuitBreaker/environment.js"
import type { Producer } from "./Producer.js"
import * as RetryPolicy from "./RetryPolicy.js"
import * as CircuitBreaker from "./runtime/CircuitBreaker.js"
import { checkHeaders } from "./runtime/DeadLetter.js"
import * as Environment from "./runtime/Environment.js"
import { isTopicName } from "./runtime/TopicName.js"

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

/** Invalid options. Thrown where the policy is built, since they are a programming error. */
export class ReliabilityConfigError extends Data.TaggedError("ReliabilityConfigError")<{
  /** Always `InvalidOptions`. */
  readonly reason: "InvalidOptions"
  /** Every invalid value; at least one. */
  readonly issues: ReadonlyArray<Environment.Issue>
}> {
  override get message(): string {
    return `${this.reason}: ${this.issues.map(Environment.describe).join("; ")}`
  }
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
export const check = (config: ReliabilityConfig): ReadonlyArray<Environment.Issue> => {
  const issues: Array<Environment.Issue> = []
  const retry = (field: keyof ReliabilityConfig, options: RetryPolicy.ExponentialOptions) => {
    try {
      RetryPolicy.exponential(options)
    } catch (error) {
      if (!(error instanceof RetryPolicy.RetryPolicyError)) throw error
      issues.push({ field, value: error.value, description: `must be ${error.expected}` })
    }
  }
  const oneOf = (field: keyof ReliabilityConfig, ...values: ReadonlyArray<unknown>) => {
    const { [field]: value } = config
    if (value === undefined || values.includes(value)) return
    issues.push({ field, value, description: `must be one of ${values.join(", ")}` })
  }
  retry("retryCount", { retries: config.retryCount })
  retry("retryBackoff", { base: config.retryBackoff })
  retry("retryBackoffMultiplier", { factor: config.retryBackoffMultiplier })
  retry("maxRetryBackoff", { cap: config.maxRetryBackoff })
  oneOf("withoutDlq", "stop", "skip")
  for (const issue of checkHeaders(headersOf(config))) {
    issues.push({ ...issue, field: headerFields[issue.field] ?? issue.field })
  }
  oneOf("dlqTooLarge", "block", "stop")
  const { dlqTopic } = config
  if (dlqTopic !== undefined && !isTopicName(dlqTopic)) {
    issues.push({ field: "dlqTopic", value: dlqTopic, description: "must be a legal topic name" })
  }
  for (const issue of CircuitBreaker.check(breakerOf(config) ?? {}).issues) {
    issues.push({ ...issue, field: `circuitBreaker.${issue.field}` })
  }
  return issues
}

const headerFields: Readonly<Record<string, keyof ReliabilityConfig>> = {
  preset: "dlqHeaders",
  retryCount: "dlqRetryHeader",
  errorMessage: "dlqErrorHeader",
  failedTimestamp: "dlqTimestampHeader"
}

/**
 * The policy as options of a consumer, without dead letters. Throws a `ReliabilityConfigError` that names every invalid
 * value.
 */
export function options(config: ReliabilityConfig & { readonly dlqEnabled: false }): Reliability<never>
/**
 * The policy as options of a consumer, which then needs a `Producer` for the dead letters. Throws a
 * `ReliabilityConfigError` that names every invalid value.
 */
export function options(config?: ReliabilityConfig): Reliability<Producer>
export function options(config: ReliabilityConfig = {}): Reliability<Producer> {
  const issues = check(config)
  if (issues.length > 0) throw new ReliabilityConfigError({ reason: "InvalidOptions", issues })
  const { dlqEnabled = true, withoutDlq = "stop" } = config
  const topic = DeadLetter.topic(config.dlqTopic, { headers: headersOf(config), tooLarge: config.dlqTooLarge })
  return {
    retry: RetryPolicy.exponential({
      retries: config.retryCount,
      base: config.retryBackoff,
      factor: config.retryBackoffMultiplier,
      cap: config.maxRetryBackoff
    }),
    deadLetter: dlqEnabled ? topic : DeadLetter.none(withoutDlq),
    circuitBreaker: breakerOf(config),
    metrics: config.enableMetrics ?? true
  }
}

const parsers: Environment.Parsers<ReliabilityConfig> = {
  retryCount: Environment.number,
  retryBackoff: Environment.duration,
  retryBackoffMultiplier: Environment.number,
  maxRetryBackoff: Environment.duration,
  dlqEnabled: Environment.boolean,
  withoutDlq: Environment.oneOf("stop", "skip"),
  dlqTopic: Environment.text,
  dlqHeaders: Environment.oneOf("spillway", "spring", "connect"),
  dlqRetryHeader: Environment.text,
  dlqErrorHeader: Environment.text,
  dlqTimestampHeader: Environment.text,
  dlqTooLarge: Environment.oneOf("block", "stop"),
  circuitBreaker: Environment.boolean,
  enableMetrics: Environment.boolean
}

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
  const prefix = Environment.prefixOf(namespace, "RELIABILITY")
  return Config.map(
    Config.all([
      Environment.options({ prefix, parsers, defaults, check }),
      BreakerEnvironment.config(`${prefix}_CIRCUIT_BREAKER`, breakerOf(defaults) ?? {})
    ]),
    ([options, circuitBreaker]) =>
      options.circuitBreaker === false || Object.keys(circuitBreaker).length === 0
        ? options
        : { ...options, circuitBreaker }
  )
}
