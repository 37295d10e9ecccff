/**
 * The options of `Health`: their rules, defaults, variables and documentation. For Spillway's own runtimes; unstable.
 */
import * as Settings from "./Settings.js"

const fields = {
  stalledAfter: Settings.or(
    Settings.finiteDuration(
      { meaning: "how long work may make no progress before health reports it" },
      Settings.aboveZero
    ),
    "2 minutes"
  )
}

/** The settings of `Health`. */
export const settings: Settings.Settings<typeof fields> = { module: "Health", prefix: "HEALTH", fields }
