/**
 * The options of `PrometheusServer`: their rules, defaults, variables and documentation.
 */
import type * as Settings from "@spillway/transport/runtime/Settings"
import * as Server from "./server.js"

const fields = Server.fields("/metrics", "where the metrics are served", 8080)

export const settings: Settings.Settings<typeof fields> = { module: "PrometheusServer", prefix: "PROMETHEUS", fields }
