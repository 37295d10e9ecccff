import * as Telemetry from "@spillway/observability/Telemetry"
import * as Consumer from "@spillway/transport/Consumer"
import * as TransportMetrics from "@spillway/transport/TransportMetrics"
import * as TransportTracing from "@spillway/transport/TransportTracing"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"

export const logged = (Main: Layer.Layer<never>) => {
  // #region logs
  const program = Consumer.launch(Main).pipe(Effect.annotateLogs("service", "billing"), Effect.provide(Logger.json))
  // #endregion
  return program
}

export const exported = (Main: Layer.Layer<never>) => {
  // #region export
  const program = Consumer.launch(Main).pipe(
    Effect.provide([
      TransportMetrics.layer({ service: "billing" }),
      Telemetry.layer({ serviceName: "billing", endpoint: "http://localhost:4318", sampleRatio: 0.01 })
    ])
  )
  // #endregion
  return program
}

export const traced = () => {
  // #region tracing
  const tracing = TransportTracing.layer({ relation: "link", clientId: "billing-1" })
  // #endregion
  return tracing
}
