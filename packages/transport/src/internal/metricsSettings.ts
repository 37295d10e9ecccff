/**
 * The options of `TransportMetrics`: their rules, variables and documentation.
 */
import * as Settings from "../runtime/Settings.js"

const service = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/

const fields = {
  service: Settings.text(
    { meaning: "the prefix of the metrics' names" },
    (text) => service.test(text),
    `must match ${service.source}`
  )
}

export const settings: Settings.Settings<typeof fields> = { module: "TransportMetrics", prefix: "METRICS", fields }
