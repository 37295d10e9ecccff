/**
 * OpenTelemetry's environment variables
 * (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/), as far as they apply here.
 */
import * as Config from "effect/Config"
import * as ConfigError from "effect/ConfigError"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"

const samplers = ["parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio"] as const

const millis = (name: string, fallback: number): Config.Config<number> =>
  Config.integer(name).pipe(Config.withDefault(fallback))

const exporter = (name: string, fallback: "otlp" | "none"): Config.Config<boolean> =>
  Config.literal(
    "otlp",
    "none"
  )(name).pipe(
    Config.withDefault(fallback),
    Config.map((exporter) => exporter === "otlp")
  )

/** `key=value` pairs, separated by commas, both percent-encoded. */
const headers = Config.redacted("OTEL_EXPORTER_OTLP_HEADERS").pipe(
  Config.withDefault(Redacted.make("")),
  Config.mapOrFail((text) => {
    const found: Record<string, Redacted.Redacted> = {}
    for (const pair of Redacted.value(text).split(",")) {
      if (pair.trim() === "") continue
      const at = pair.indexOf("=")
      try {
        const name = decodeURIComponent(pair.slice(0, at).trim())
        if (at <= 0 || !/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) throw new Error("no name")
        found[name] = Redacted.make(decodeURIComponent(pair.slice(at + 1).trim()))
      } catch {
        // Doesn't include the text, which is a secret.
        return Either.left(ConfigError.InvalidData(["OTEL_EXPORTER_OTLP_HEADERS"], "Expected key=value pairs"))
      }
    }
    return Either.right(found)
  })
)

const sampleRatio = Config.all([
  Config.literal(...samplers)("OTEL_TRACES_SAMPLER").pipe(Config.withDefault(samplers[0])),
  Config.number("OTEL_TRACES_SAMPLER_ARG").pipe(Config.withDefault(1))
]).pipe(
  Config.map(([sampler, ratio]) =>
    sampler === "parentbased_always_on" ? 1 : sampler === "parentbased_always_off" ? 0 : ratio
  )
)

/** The options of `Telemetry.layer`. */
export const options = Config.all({
  serviceName: Config.nonEmptyString("OTEL_SERVICE_NAME"),
  endpoint: Config.nonEmptyString("OTEL_EXPORTER_OTLP_ENDPOINT").pipe(Config.withDefault("http://localhost:4318")),
  headers,
  protocol: Config.literal(
    "http/protobuf",
    "http/json"
  )("OTEL_EXPORTER_OTLP_PROTOCOL").pipe(Config.withDefault("http/protobuf" as const)),
  timeout: millis("OTEL_EXPORTER_OTLP_TIMEOUT", 10_000),
  traces: exporter("OTEL_TRACES_EXPORTER", "otlp"),
  metrics: exporter("OTEL_METRICS_EXPORTER", "otlp"),
  logs: exporter("OTEL_LOGS_EXPORTER", "none"),
  sampleRatio,
  traceInterval: millis("OTEL_BSP_SCHEDULE_DELAY", 5_000),
  metricInterval: millis("OTEL_METRIC_EXPORT_INTERVAL", 60_000)
})

export const disabled = Config.boolean("OTEL_SDK_DISABLED").pipe(Config.withDefault(false))
