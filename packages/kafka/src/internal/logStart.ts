/**
 * The line that a consumer or a producer logs as it starts. It shows whether metrics, tracing and health are on: a Layer
 * that is merged with a consumer, instead of provided to it, leaves them off without an error.
 */
import { Health } from "@spillway/transport/Health"
import * as Logging from "@spillway/transport/runtime/Logging"
import { TransportMetrics } from "@spillway/transport/TransportMetrics"
import { TransportTracing } from "@spillway/transport/TransportTracing"
import * as Effect from "effect/Effect"
import * as LogLevel from "effect/LogLevel"

const stateOf = ({ enabled }: { readonly enabled: boolean }): "on" | "off" => (enabled ? "on" : "off")

export const logStart = Effect.fnUntraced(function* (
  message: "Consumer starting" | "Producer starting",
  annotations: Readonly<Record<string, string>>
): Effect.fn.Return<void> {
  yield* Logging.log(LogLevel.Info, message, {
    ...annotations,
    metrics: stateOf(yield* TransportMetrics),
    tracing: stateOf(yield* TransportTracing),
    health: stateOf(yield* Health)
  })
})
