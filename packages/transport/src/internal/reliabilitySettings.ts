/**
 * The options of `ReliabilityConfig`: their rules, defaults, variables and documentation.
 */
import type { CircuitBreakerOptions } from "../CircuitBreaker.js"
import type { DeadLetterPreset } from "../DeadLetter.js"
import * as CircuitBreaker from "../runtime/CircuitBreaker.js"
import * as Environment from "../runtime/Environment.js"
import * as Settings from "../runtime/Settings.js"
import { isTopicName } from "../runtime/TopicName.js"
import * as RetrySettings from "./retrySettings.js"

const presets: ReadonlyArray<DeadLetterPreset> = ["spillway", "spring", "connect"]

const header = (meaning: string, shown: string) =>
  Settings.optional(
    Settings.make({ meaning }, Environment.text, (given) => typeof given === "string", "must be text"),
    shown
  )

type Breaker = boolean | CircuitBreakerOptions

const circuitBreaker: Settings.Setting<Breaker, Breaker> = {
  meaning: "whether there is a [circuit breaker](control.md#circuit-breaker); any of its options turns it on too",
  shown: undefined,
  parse: Environment.boolean,
  decode: (given, refuse) => {
    if (typeof given === "object" && given !== null) {
      for (const { description, field, value } of CircuitBreaker.check(given).issues) {
        refuse(value, description, `.${field}`)
      }
    } else if (typeof given !== "boolean") refuse(given, "must be true, false or options")
    return given as Breaker
  }
}

/** The options of the delays between attempts. */
export const retry = {
  retryCount: RetrySettings.retries({ meaning: "retries after the first attempt; `Infinity` for no limit" }),
  retryBackoff: RetrySettings.delay({ meaning: "the delay before the first retry" }, "1 second"),
  retryBackoffMultiplier: RetrySettings.factor({ meaning: "the factor from each delay to the next" }),
  maxRetryBackoff: RetrySettings.delay(
    { meaning: "no delay is longer; jitter shortens delays by up to one half" },
    "30 seconds"
  )
}

const fields = {
  ...retry,
  dlqEnabled: Settings.or(
    Settings.boolean({ meaning: "whether records that fail permanently become dead letters" }),
    true
  ),
  withoutDlq: Settings.or(
    Settings.oneOf(
      {
        meaning:
          "what happens to them otherwise: `stop` fails the consumer at the record, `skip` logs, counts and discards it"
      },
      "stop",
      "skip"
    ),
    "stop"
  ),
  dlqTopic: Settings.optional(
    Settings.text(
      { meaning: "the dead letter topic; by default the source topic's name and `-dlq`" },
      isTopicName,
      "must be a legal topic name"
    )
  ),
  dlqHeaders: Settings.or(
    Settings.oneOf<DeadLetterPreset>(
      { meaning: "whose header format dead letters use: `spillway`, `spring` or `connect`" },
      ...presets
    ),
    "spillway"
  ),
  dlqRetryHeader: header("the header of the retry count", "x-retry-count"),
  dlqErrorHeader: header("the header of the error's message; `dlqHeaders` changes the default", "x-error-message"),
  dlqTimestampHeader: header("the header of the time of failure", "x-failed-timestamp"),
  dlqTooLarge: Settings.or(
    Settings.oneOf(
      { meaning: "when the broker refuses a dead letter as too large: `block` the partition, or `stop` the consumer" },
      "block",
      "stop"
    ),
    "block"
  ),
  circuitBreaker: Settings.or(circuitBreaker, false),
  enableMetrics: Settings.or(
    Settings.boolean({ meaning: "whether the consumer counts in the metrics that `TransportMetrics` turned on" }),
    true
  )
}

export const settings: Settings.Settings<typeof fields> = { module: "ReliabilityConfig", prefix: "RELIABILITY", fields }
