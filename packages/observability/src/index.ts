export * as HealthServer from "./HealthServer.js"
export * as PrometheusFormat from "./PrometheusFormat.js"
export * as PrometheusServer from "./PrometheusServer.js"
