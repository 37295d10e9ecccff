/**
 * Distributed tracing of consumers and producers. Off by default, and then free. `layer` turns it on for the consumers
 * and producers that it is provided to. Spans go to the program's Effect tracer, which `Telemetry` of
 * `@spillway/observability` or `@effect/opentelemetry` provides; without a tracer there are no spans.
 *
 * - A producer makes a span `send {topic}` for each `send`, and one for all records of a `sendAll`, inside the current
 *   span. Its context replaces the records' W3C headers `traceparent` and `tracestate`.
 * - A consumer makes a span `process {topic}` for each attempt to handle a record, and the handler runs inside it.
 *   Retries, and the `send` of a dead letter, are children of the first attempt's span.
 * - An unsampled context gets no spans and is passed on unchanged. So is any context without a tracer.
 *
 * Names and attributes follow OpenTelemetry's semantic conventions for messaging (1.45).
 */
import type { Config } from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { InvalidOptions } from "./InvalidOptions.js"
import * as TracedProcessing from "./internal/tracedProcessing.js"
import * as TracedProducer from "./internal/tracedProducer.js"
import { settings } from "./internal/tracingSettings.js"
import * as Settings from "./runtime/Settings.js"
import type { Tracing } from "./runtime/Tracing.js"

/** The options of tracing; all have defaults. */
export interface TransportTracingOptions {
  /**
   * How the span of a first attempt relates to the `send` span of its record: `"parent"` makes it a child, so that one
   * trace shows a record from end to end; `"link"` starts a new trace that links to it. Default: `"parent"`, with the
   * link too.
   */
  readonly relation?: "parent" | "link" | undefined
  /** Whether spans include a record's key if it is UTF-8 text. Default: false, since keys may be private. */
  readonly recordKeys?: boolean | undefined
  /** `messaging.client.id` of all spans. Default: none. */
  readonly clientId?: string | undefined
}

/** The tracing of consumers and producers. Default: off. */
export class TransportTracing extends Context.Reference<TransportTracing>()("@spillway/transport/TransportTracing", {
  defaultValue: (): Tracing => off
}) {}

const off: Tracing = {
  enabled: false,
  producer: (producer) => producer,
  processing: TracedProcessing.off
}

/** Active tracing; `layer` provides it. */
export const make = (options: TransportTracingOptions = {}): Effect.Effect<Tracing, InvalidOptions> =>
  Effect.map(Settings.decode(settings, options), (decoded) => ({
    enabled: true,
    producer: (producer) => TracedProducer.make(producer, decoded),
    processing: TracedProcessing.make(decoded)
  }))

/** Turns tracing on for the consumers and producers that this layer is provided to. */
export const layer = (options?: TransportTracingOptions | undefined): Layer.Layer<never, InvalidOptions> =>
  Layer.effect(TransportTracing, make(options))

/**
 * `TRACING_RELATION`, `TRACING_RECORD_KEYS` and `TRACING_CLIENT_ID`, each optional; within a namespace `A`,
 * `A_TRACING_RELATION`.
 */
export const config = (
  defaults?: TransportTracingOptions | undefined,
  namespace?: string | undefined
): Config<TransportTracingOptions> => Settings.config(settings, defaults, namespace)

/** `layer` with the options from the environment; see `config`. */
export const layerConfig = (
  defaults?: TransportTracingOptions | undefined,
  namespace?: string | undefined
): Layer.Layer<never, InvalidOptions | ConfigError> =>
  Layer.effect(TransportTracing, Effect.flatMap(config(defaults, namespace), make))
