/**
 * The options of `TransportTracing`: their rules, defaults, variables and documentation.
 */
import * as Settings from "../runtime/Settings.js"

const fields = {
  relation: Settings.or(
    Settings.oneOf(
      { meaning: "how the span of a first attempt relates to that of its `send`: `parent` or `link`" },
      "parent",
      "link"
    ),
    "parent"
  ),
  recordKeys: Settings.or(Settings.boolean({ meaning: "whether spans show a record's key" }), false),
  clientId: Settings.optional(Settings.text({ meaning: "`messaging.client.id` of all spans" }))
}

export const settings: Settings.Settings<typeof fields> = { module: "TransportTracing", prefix: "TRACING", fields }
