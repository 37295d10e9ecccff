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
import { show } from "@spillway/transport/runtime/Environment"
import * as TransportTracing from "@spillway/transport/TransportTracing"
import type * as ConfigError from "effect/ConfigError"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Otlp from "./internal/otlp.js"
import * as SampledTracer from "./internal/sampledTracer.js"
import * as TelemetryConfig from "./internal/telemetryConfig.js"

/** The resource, the receiver and the signals to export. */
export interface TelemetryOptions {
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
  readonly protocol?: Otlp.Protocol | undefined
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

/** Options with which nothing can be exported. */
export class TelemetryError extends Data.TaggedError("TelemetryError")<{
  /** Always `InvalidOptions`. */
  readonly reason: "InvalidOptions"
  /** Every option that can't be used, with its value and the rule that it breaks; at least one. */
  readonly issues: ReadonlyArray<{ readonly field: string; readonly value: unknown; readonly description: string }>
}> {
  override get message(): string {
    const issues = this.issues.map(({ description, field, value }) => `${field} ${description}, not ${show(value)}`)
    return `${this.reason}: ${issues.join("; ")}`
  }
}

/** The problem with an endpoint, if any. */
const wrongEndpoint = (text: string): string | undefined => {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) return "must be a URL of http or https"
  return url.username === "" && url.password === ""
    ? undefined
    : "must not contain a user name or password; use headers"
}

/** A valid HTTP header value. */
const isHeaderValue = (value: Redacted.Redacted): boolean => /^[\t\x20-\x7e\x80-\xff]*$/.test(Redacted.value(value))

const check = (options: TelemetryOptions): Effect.Effect<void, TelemetryError> => {
  const issues: Array<TelemetryError["issues"][number]> = []
  const must = (ok: boolean, field: keyof TelemetryOptions, value: unknown, description: string): void => {
    if (!ok) issues.push({ field, value, description })
  }
  const { endpoint = "http://localhost:4318", headers = {}, protocol = "http/protobuf", serviceName } = options
  const { sampleRatio = 1 } = options
  must(serviceName.trim() !== "", "serviceName", serviceName, "must not be empty")
  const wrong = wrongEndpoint(endpoint)
  // A string that is not a URL may contain a password, too.
  if (wrong !== undefined) must(false, "endpoint", endpoint.replace(/\/\/.*@/, "//<redacted>@"), wrong)
  for (const [name, value] of Object.entries(headers)) {
    must(isHeaderValue(value), "headers", { [name]: "<redacted>" }, "must be text that HTTP allows")
  }
  must(["http/json", "http/protobuf"].includes(protocol), "protocol", protocol, "must be http/json or http/protobuf")
  must(sampleRatio >= 0 && sampleRatio <= 1, "sampleRatio", sampleRatio, "must be a number from 0 to 1")
  for (const field of ["traceInterval", "metricInterval", "timeout"] as const) {
    const millis = options[field] === undefined ? 1 : decodeMillis(options[field])
    must(millis > 0 && millis < 2 ** 31, field, options[field], "must be a duration above zero and below 25 days")
  }
  return issues.length === 0 ? Effect.void : Effect.fail(new TelemetryError({ reason: "InvalidOptions", issues }))
}

const decodeMillis = (input: Duration.DurationInput): number => {
  const duration = Duration.decodeUnknown(input)
  return duration._tag === "Some" ? Duration.toMillis(duration.value) : Number.NaN
}

const build = (options: TelemetryOptions): Layer.Layer<never> => {
  const { endpoint = "http://localhost:4318", headers = {}, sampleRatio = 1, serviceName } = options
  const timeout = Duration.decode(options.timeout ?? "10 seconds")
  const exportTo = (signal: string, exportInterval: Duration.DurationInput) => ({
    url: `${endpoint.replace(/\/+$/, "")}/v1/${signal}`,
    resource: {
      serviceName,
      serviceVersion: options.serviceVersion,
      attributes: { ...options.resourceAttributes }
    },
    headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, Redacted.value(value)])),
    exportInterval,
    shutdownTimeout: timeout
  })
  const traces = OtlpTracer.make(exportTo("traces", options.traceInterval ?? "5 seconds")).pipe(
    Effect.map((tracer) => Layer.setTracer(SampledTracer.make(tracer, sampleRatio))),
    Layer.unwrapScoped,
    Layer.merge(TransportTracing.layer(options.tracing))
  )
  return Layer.mergeAll(
    Layer.scopedDiscard(Effect.annotateLogsScoped({ service: serviceName })),
    options.traces === false ? Layer.empty : traces,
    options.metrics === false
      ? Layer.empty
      : OtlpMetrics.layer(exportTo("metrics", options.metricInterval ?? "60 seconds")),
    options.logs === true ? OtlpLogger.layer(exportTo("logs", "1 second")) : Layer.empty
  ).pipe(Layer.provide([Otlp.client(timeout), Otlp.serialization(options.protocol ?? "http/protobuf")]))
}

/** Exports until the layer is released, then sends the remaining data within twice the `timeout`. */
export const layer = (options: TelemetryOptions): Layer.Layer<never, TelemetryError> =>
  Layer.unwrapEffect(
    Effect.as(
      check(options),
      Layer.suspend(() => build(options))
    )
  )

/**
 * `layer` with the options from OpenTelemetry's environment variables; only `OTEL_SERVICE_NAME` is required:
 *
 * | variable | value | default |
 * |---|---|---|
 * | `OTEL_SDK_DISABLED` | `true` exports nothing and traces nothing | `false` |
 * | `OTEL_SERVICE_NAME` | | |
 * | `OTEL_RESOURCE_ATTRIBUTES` | `key=value`, separated by commas | |
 * | `OTEL_EXPORTER_OTLP_ENDPOINT` | URL | `http://localhost:4318` |
 * | `OTEL_EXPORTER_OTLP_HEADERS` | `key=value`, separated by commas, percent-encoded; kept redacted | |
 * | `OTEL_EXPORTER_OTLP_PROTOCOL` | `http/protobuf`, `http/json` | `http/protobuf` |
 * | `OTEL_EXPORTER_OTLP_TIMEOUT` | milliseconds | 10000 |
 * | `OTEL_TRACES_EXPORTER`, `OTEL_METRICS_EXPORTER`, `OTEL_LOGS_EXPORTER` | `otlp`, `none` | `otlp`, logs `none` |
 * | `OTEL_TRACES_SAMPLER` | `parentbased_always_on`, `parentbased_always_off`, `parentbased_traceidratio` | the first |
 * | `OTEL_TRACES_SAMPLER_ARG` | share of `parentbased_traceidratio`, from 0 to 1 | 1 |
 * | `OTEL_BSP_SCHEDULE_DELAY` | milliseconds between exports of spans | 5000 |
 * | `OTEL_METRIC_EXPORT_INTERVAL` | milliseconds between exports of metrics | 60000 |
 */
export const layerConfig = (
  options: Pick<TelemetryOptions, "tracing"> = {}
): Layer.Layer<never, TelemetryError | ConfigError.ConfigError> =>
  Layer.unwrapEffect(
    Effect.gen(function* () {
      if (yield* TelemetryConfig.disabled) return Layer.empty
      return layer({ ...(yield* TelemetryConfig.options), ...options })
    })
  )
