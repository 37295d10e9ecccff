/**
 * The options of `Telemetry`: their rules, defaults and OpenTelemetry's variables
 * (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/), as far as they apply here.
 */
import type { InvalidOptions } from "@spillway/transport/InvalidOptions"
import * as Environment from "@spillway/transport/runtime/Environment"
import * as Settings from "@spillway/transport/runtime/Settings"
import * as TransportTracing from "@spillway/transport/TransportTracing"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import type { OtlpProtocol } from "./otlp.js"

type Headers = Readonly<Record<string, Redacted.Redacted>>

/** The problem with an endpoint, if any. */
const wrongEndpoint = (given: unknown): string | undefined => {
  const url = typeof given === "string" && URL.canParse(given) ? new URL(given) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) return "must be a URL of http or https"
  return url.username === "" && url.password === ""
    ? undefined
    : "must not contain a user name or password; use headers"
}

const endpoint: Settings.Setting<string, string> = {
  meaning: "the URL of an OTLP receiver",
  shown: undefined,
  variable: "EXPORTER_OTLP_ENDPOINT",
  isSecret: true,
  parse: Environment.text,
  decode: (given, refuse) => {
    const wrong = wrongEndpoint(given)
    // A string that is not a URL may contain a password, too.
    if (wrong !== undefined) refuse(String(given).replace(/\/\/.*@/, "//<redacted>@"), wrong)
    return String(given)
  }
}

/** A valid HTTP header value. */
const isHeaderValue = (given: unknown): boolean =>
  Redacted.isRedacted(given) && /^[\t\x20-\x7e\x80-\xff]*$/.test(String(Redacted.value(given)))

/** `key=value` pairs, separated by commas, both percent-encoded. */
const parseHeaders: Environment.Parser<Headers> = (text) =>
  Either.try({
    try: () => {
      const found: Record<string, Redacted.Redacted> = {}
      for (const pair of text.split(",")) {
        if (pair.trim() === "") continue
        const at = pair.indexOf("=")
        const name = decodeURIComponent(pair.slice(0, at).trim())
        if (at <= 0 || !/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) throw new Error("no name")
        found[name] = Redacted.make(decodeURIComponent(pair.slice(at + 1).trim()))
      }
      return found
    },
    catch: () => "must be key=value pairs"
  })

const headers: Settings.Setting<Headers, Headers> = {
  meaning: "headers of every request: `key=value`, separated by commas, percent-encoded",
  shown: undefined,
  variable: "EXPORTER_OTLP_HEADERS",
  isSecret: true,
  parse: parseHeaders,
  decode: (given, refuse) => {
    for (const [name, value] of Object.entries({ ...(given as object) })) {
      if (!isHeaderValue(value)) refuse({ [name]: "<redacted>" }, "must be text that HTTP allows")
    }
    return given as Headers
  }
}

const parseMillis: Environment.Parser<Duration.DurationInput> = (text) =>
  /^\d+$/.test(text) ? Either.right(Duration.millis(Number(text))) : Either.left("must be a number of milliseconds")

const interval = (meaning: string, variable: string, millis: number) =>
  Settings.or(
    Settings.named(Settings.duration({ meaning: `${meaning}, in milliseconds` }), variable, parseMillis),
    millis
  )

const signal = (meaning: string, variable: string, fallback: boolean) =>
  Settings.or(
    Settings.named(
      Settings.boolean({ meaning: `whether ${meaning} are exported: \`otlp\` or \`none\`` }),
      variable,
      (text) => Either.map(Environment.oneOf("otlp", "none")(text), (exporter) => exporter === "otlp")
    ),
    fallback,
    fallback ? "otlp" : "none"
  )

const tracing: Settings.Setting<
  TransportTracing.TransportTracingOptions,
  TransportTracing.TransportTracingOptions | undefined
> = {
  meaning: "how records are traced",
  shown: undefined,
  parse: undefined,
  decode: (given, refuse) => {
    const checked = Effect.runSync(
      Effect.either(TransportTracing.make(given as TransportTracing.TransportTracingOptions))
    )
    if (Either.isLeft(checked)) {
      for (const { description, field, value } of checked.left.issues) refuse(value, description, `.${field}`)
    }
    return given as TransportTracing.TransportTracingOptions | undefined
  }
}

const isRecord = (given: unknown): boolean => typeof given === "object" && given !== null

const fields = {
  enabled: Settings.or(
    Settings.named(Settings.boolean({ meaning: "`true` exports nothing and traces nothing" }), "SDK_DISABLED", (text) =>
      Either.map(Environment.boolean(text), (isDisabled) => !isDisabled)
    ),
    true,
    "false"
  ),
  serviceName: Settings.text({ meaning: "`service.name` of the resource" }),
  serviceVersion: Settings.optional(
    Settings.make<string>({ meaning: "" }, undefined, (given) => typeof given === "string", "must be text")
  ),
  resourceAttributes: Settings.optional(
    Settings.make<Readonly<Record<string, string>>>({ meaning: "" }, undefined, isRecord, "must be an object of texts")
  ),
  endpoint: Settings.or(endpoint, "http://localhost:4318"),
  headers: Settings.optional(headers),
  protocol: Settings.or(
    Settings.named(
      Settings.oneOf<OtlpProtocol>({ meaning: "`http/protobuf` or `http/json`" }, "http/json", "http/protobuf"),
      "EXPORTER_OTLP_PROTOCOL"
    ),
    "http/protobuf"
  ),
  traces: signal("traces", "TRACES_EXPORTER", true),
  metrics: signal("metrics", "METRICS_EXPORTER", true),
  logs: signal("logs", "LOGS_EXPORTER", false),
  sampleRatio: Settings.or(
    {
      ...Settings.number({ meaning: "" }, (given) => given >= 0 && given <= 1, "must be a number from 0 to 1"),
      parse: undefined
    },
    1
  ),
  traceInterval: interval("the time between exports of spans", "BSP_SCHEDULE_DELAY", 5_000),
  metricInterval: interval("the time between exports of metrics", "METRIC_EXPORT_INTERVAL", 60_000),
  timeout: interval("the timeout of a request", "EXPORTER_OTLP_TIMEOUT", 10_000),
  tracing
}

export const settings: Settings.Settings<typeof fields> = { module: "Telemetry", prefix: "OTEL", fields }

export type Decoded = Settings.Decoded<typeof fields>

/** The decoded options. If telemetry is off, the other options don't matter. */
export const decode = (options: unknown): Effect.Effect<Decoded, InvalidOptions> => {
  const { values, issues } = Settings.check(settings, options)
  return Effect.as(values.enabled ? Settings.refuse(settings.module, issues) : Effect.void, values)
}
