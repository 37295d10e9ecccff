/**
 * A circuit breaker's options from the environment. Every option that isn't a function needs a line here, or this
 * doesn't compile.
 */
import type { Config } from "effect/Config"
import * as Either from "effect/Either"
import type { CircuitBreakerOptions } from "../../CircuitBreaker.js"
import { check } from "../../runtime/CircuitBreaker.js"
import * as Environment from "../../runtime/Environment.js"

/** A whole number is a count of calls. */
const window: Environment.Parser<NonNullable<CircuitBreakerOptions["window"]>> = (text) =>
  /^-?\d+$/.test(text)
    ? Either.right({ count: Number(text) })
    : Either.mapBoth(Environment.duration(text), {
        onLeft: () => 'must be a number of calls or a duration such as "30 seconds"',
        onRight: (time) => ({ time })
      })

const parsers: Environment.Parsers<CircuitBreakerOptions> = {
  window,
  failureRatio: Environment.number,
  minimumThroughput: Environment.number,
  openTime: Environment.duration,
  factor: Environment.number,
  maxOpenTime: Environment.duration,
  probes: Environment.number
}

export const config = (prefix: string, defaults: CircuitBreakerOptions): Config<CircuitBreakerOptions> =>
  Environment.options({
    prefix,
    parsers,
    defaults,
    check: (options) =>
      check(options).issues.map((issue) => ({ ...issue, field: issue.field.replace(/^window\..*/, "window") }))
  })
