/**
 * OpenTelemetry: exports traces and metrics, and optionally logs, by OTLP over HTTP, and turns tracing on for the
 * consumers and producers that it is provided to. It needs no OpenTelemetry SDK.
 *
 * Traces include those of `TransportTracing` and every `Effect.withSpan` of the program; metrics are the whole Effect
 * registry, where `TransportMetrics.layer` registers those of consumers and producers.
 */

import * as OtlpLogger from "@effect/opentelemetry/OtlpLogger"
import * as OtlpMetrics from "@effect/opentelemetry/OtlpMetrics"
import * as OtlpTracer from "@effect/opentelemetry/OtlpTracer"
import type { InvalidOptions } from "@spillway/transport/InvalidOptions"
import * as Environment from "@spillway/transport/runtime/Environment"
import * as Settings from "@spillway/transport/runtime/Settings"
import * as TransportTracing from "@spillway/transport/TransportTracing"
import * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Otlp from "./internal/otlp.js"
import * as SampledTracer from "./internal/sampledTracer.js"
import * as TelemetryConfig from "./internal/telemetryConfig.js"
import { type Decoded, decode, settings } from "./internal/telemetrySettings.js"

export type { OtlpProtocol } from "./internal/otlp.js"

/** The resource, the receiver and the signals to export. */
export interface TelemetryOptions {
  /** Whether anything is exported or traced. Default: true. */
  readonly enabled?: boolean | undefined
  /** `service.name` of the resource, and the annotation `service` of log lines. */
  readonly serviceName: string
  /** `service.version` of the resource. */
  readonly serviceVersion?: string | undefined
  /** More attributes of the resource. They override those of `OTEL_RESOURCE_ATTRIBUTES`. */
  readonly resourceAttributes?: Readonly<Record<string, string>> | undefined
  /** The URL of an OTLP receiver; `/v1/traces` and the like are appended. Default: `http://localhost:4318`. */
  readonly endpoint?: string | undefined
  /** Headers of every request, such as an API key. */
  readonly headers?: Readonly<Record<string, Redacted.Redacted>> | undefined
  /** The encoding of the requests. Default: `http/protobuf`. */
  readonly protocol?: Otlp.OtlpProtocol | undefined
  /** Whether spans are exported. Default: true. */
  readonly traces?: boolean | undefined
  /** Whether metrics are exported. Default: true. */
  readonly metrics?: boolean | undefined
  /** Whether log lines are exported, in addition to the program's other loggers. Default: false. */
  readonly logs?: boolean | undefined
  /**
   * The share of the traces beginning here that is sampled, from 0 to 1. A trace that began elsewhere keeps its
   * sampling decision. Default: 1.
   */
  readonly sampleRatio?: number | undefined
  /** The interval between exports of spans; 1,000 spans trigger one early. Default: 5 seconds. */
  readonly traceInterval?: Duration.DurationInput | undefined
  /** The interval between exports of metrics. Default: 60 seconds. */
  readonly metricInterval?: Duration.DurationInput | undefined
  /**
   * The timeout of a request. Closing sends the remaining data and takes at most twice as long. Default: 10 seconds.
   */
  readonly timeout?: Duration.DurationInput | undefined
  /** How records are traced. */
  readonly tracing?: TransportTracing.TransportTracingOptions | undefined
}

const build = ({
  endpoint,
  headers,
  sampleRatio,
  serviceName,
  ...options
}: Decoded): Layer.Layer<never, InvalidOptions> => {
  const timeout = Duration.millis(options.timeout)
  const exportTo = (signal: string, exportInterval: number) => ({
    url: `${endpoint.replace(/\/+$/, "")}/v1/${signal}`,
    resource: {
      serviceName,
      serviceVersion: options.serviceVersion,
      attributes: { ...options.resourceAttributes }
    },
    headers: Object.fromEntries(Object.entries(headers ?? {}).map(([name, value]) => [name, Redacted.value(value)])),
    exportInterval,
    shutdownTimeout: timeout
  })
  const traces = OtlpTracer.make(exportTo("traces", options.traceInterval)).pipe(
    Effect.map((tracer) => Layer.setTracer(SampledTracer.make(tracer, sampleRatio))),
    Layer.unwrapScoped,
    Layer.merge(TransportTracing.layer(options.tracing))
  )
  return Layer.mergeAll(
    Layer.scopedDiscard(Effect.annotateLogsScoped({ service: serviceName })),
    options.traces ? traces : Layer.empty,
    options.metrics ? OtlpMetrics.layer(exportTo("metrics", options.metricInterval)) : Layer.empty,
    options.logs ? OtlpLogger.layer(exportTo("logs", 1_000)) : Layer.empty
  ).pipe(Layer.provide([Otlp.client(timeout), Otlp.serialization(options.protocol)]))
}

/** Exports until the layer is released, then sends the remaining data within twice the `timeout`. */
export const layer = (options: TelemetryOptions): Layer.Layer<never, InvalidOptions> =>
  Layer.unwrapEffect(Effect.map(decode(options), (decoded) => (decoded.enabled ? build(decoded) : Layer.empty)))

/**
 * The options from OpenTelemetry's environment variables; only `OTEL_SERVICE_NAME` is required. Within a namespace `A`
 * each variable begins with `A_`, such as `A_OTEL_SERVICE_NAME`. `docs/configuration.md` lists them.
 */
export const config = (
  defaults?: Partial<TelemetryOptions> | undefined,
  namespace?: string | undefined
): Config.Config<TelemetryOptions> =>
  Config.map(
    Config.all([
      Settings.config<TelemetryOptions>(settings, defaults, namespace, (options) =>
        options.enabled === false ? [] : Settings.check(settings, options).issues
      ),
      TelemetryConfig.sampleRatio(Environment.prefixOf(namespace, settings.prefix))
    ]),
    ([options, sampleRatio]) => (sampleRatio === undefined ? options : { ...options, sampleRatio })
  )

/** `layer` with the options from the environment; see `config`. */
export const layerConfig = (
  defaults?: Partial<TelemetryOptions> | undefined,
  namespace?: string | undefined
): Layer.Layer<never, InvalidOptions | ConfigError> =>
  Layer.unwrapEffect(Effect.map(config(defaults, namespace), layer))
