/**
 * The options of retry policies, as `RetryPolicy` and `ReliabilityConfig` have them.
 */
import type * as Duration from "effect/Duration"
import * as Settings from "../runtime/Settings.js"

export const retries = (documentation: Settings.Documentation): Settings.Setting<number, number> =>
  Settings.or(
    Settings.number(
      documentation,
      (given) => given >= 0 && (Number.isInteger(given) || given === Number.POSITIVE_INFINITY),
      "must be a whole number, at least 0"
    ),
    3
  )

export const delay = (
  documentation: Settings.Documentation,
  fallback: Duration.DurationInput
): Settings.Setting<Duration.DurationInput, number> => Settings.or(Settings.finiteDuration(documentation), fallback)

export const factor = (documentation: Settings.Documentation): Settings.Setting<number, number> =>
  Settings.or(
    Settings.number(documentation, (given) => Number.isFinite(given) && given >= 1, "must be a number, at least 1"),
    2
  )
