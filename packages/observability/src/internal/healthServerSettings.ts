/**
 * The options of `HealthServer`: their rules, defaults, variables and documentation.
 */
import * as HealthSettings from "@spillway/transport/runtime/HealthSettings"
import type * as Settings from "@spillway/transport/runtime/Settings"
import * as Server from "./server.js"

const fields = {
  ...Server.fields("/health", "where health is served; the probes are below it", 8081),
  ...HealthSettings.settings.fields
}

export const settings: Settings.Settings<typeof fields> = {
  module: "HealthServer",
  prefix: HealthSettings.settings.prefix,
  fields
}
