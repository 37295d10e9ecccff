/**
 * A circuit breaker's options: their rules, defaults, variables and documentation.
 */
import * as Either from "effect/Either"
import type { CircuitBreakerOptions } from "../../CircuitBreaker.js"
import type { HandlerFailure } from "../../HandlerError.js"
import * as Environment from "../../runtime/Environment.js"
import * as Settings from "../../runtime/Settings.js"
import type { CircuitBreakerSettings } from "./types.js"

type Window = NonNullable<CircuitBreakerOptions["window"]>

const most = 1_000_000

/** A whole number is a count of calls. */
const parseWindow: Environment.Parser<Window> = (text) =>
  /^-?\d+$/.test(text)
    ? Either.right({ count: Number(text) })
    : Either.mapBoth(Environment.duration(text), {
        onLeft: () => 'must be a number of calls or a duration such as "30 seconds"',
        onRight: (time) => ({ time })
      })

const parts = { count: Settings.whole({ meaning: "" }, 1, most), time: Settings.duration({ meaning: "" }, 1) }

const window: Settings.Setting<Window, CircuitBreakerSettings["window"]> = {
  meaning: "which calls count: a number of last calls, or a duration such as `10 seconds`",
  shown: undefined,
  parse: parseWindow,
  decode: (given, refuse) => {
    const { count, time } = { ...(given as object) } as { readonly count?: unknown; readonly time?: unknown }
    if (time !== undefined) {
      return { _tag: "Time", millis: parts.time.decode(time, (value, rule) => refuse(value, rule, ".time")) }
    }
    return { _tag: "Count", count: parts.count.decode(count, (value, rule) => refuse(value, rule, ".count")) }
  }
}

const fields = {
  window: Settings.or(window, { count: 20 }, "20"),
  failureRatio: Settings.or(
    Settings.number(
      { meaning: "it opens when this share of the window's calls failed: above 0, up to 1" },
      (given) => given > 0 && given <= 1,
      "must be a number above 0, up to 1"
    ),
    0.5
  ),
  minimumThroughput: Settings.or(
    Settings.whole({ meaning: "it doesn't open while the window holds fewer calls" }, 1, most),
    10
  ),
  openTime: Settings.or(
    Settings.duration({ meaning: "how long it stays open before the first probe" }, 1),
    "5 seconds"
  ),
  factor: Settings.or(
    Settings.number(
      { meaning: "the factor by which each failed probe lengthens that time" },
      (given) => given >= 1 && Number.isFinite(given),
      "must be a number, at least 1"
    ),
    2
  ),
  maxOpenTime: Settings.or(Settings.duration({ meaning: "it never stays open for longer" }, 1), "30 seconds"),
  probes: Settings.or(Settings.whole({ meaning: "how many probes must succeed to close it" }, 1, most), 1),
  isFailure: Settings.or(
    Settings.code<(failure: HandlerFailure) => boolean>({ meaning: "which failures count" }),
    () => true
  )
}

export const settings: Settings.Settings<typeof fields> = {
  module: "CircuitBreaker",
  prefix: "RELIABILITY_CIRCUIT_BREAKER",
  fields,
  rules: ({ minimumThroughput, window }, refuse) => {
    if (window._tag === "Count" && minimumThroughput > window.count) {
      refuse("minimumThroughput", `must not be above window.count (${window.count})`)
    }
  }
}
