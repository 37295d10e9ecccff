import { assert, describe, it } from "@effect/vitest"
import { TransportTracing } from "@spillway/transport/TransportTracing"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Metric from "effect/Metric"
import * as Redacted from "effect/Redacted"
import * as Tracer from "effect/Tracer"
import { uniqueName } from "../../../scripts/kafka/testing.js"
import * as Telemetry from "../src/Telemetry.js"
import * as Collector from "./collector.js"

const secret = "k-1234"

/** Runs a program whose telemetry goes to its own collector, and collects all log lines at every level. */
const exported = (
  program: Effect.Effect<unknown>,
  options: Partial<Telemetry.TelemetryOptions> = {},
  answers: ReadonlyArray<number | undefined> = []
) =>
  Effect.gen(function* () {
    const collector = yield* Collector.make
    collector.answers.push(...answers)
    const lines: Array<string> = []
    const logger = Logger.map(Logger.jsonLogger, (line) => void lines.push(line))
    const begun = performance.now()
    yield* program.pipe(
      Effect.provide(
        Telemetry.layer({ serviceName: "billing", endpoint: collector.url, protocol: "http/json", ...options })
      ),
      Effect.provide(Logger.replace(Logger.defaultLogger, logger)),
      Logger.withMinimumLogLevel(LogLevel.All)
    )
    return { collector, lines, took: performance.now() - begun }
  })

const paths = ({ requests }: Collector.Collector) => requests.map(({ path }) => path).sort()

describe("Telemetry", () => {
  it.scopedLive("exports the remaining data when it is released, with its resource and headers", () =>
    Effect.gen(function* () {
      const name = uniqueName("orders")
      const counter = Metric.counter(name, { incremental: true })
      const program = Effect.withSpan(Metric.incrementBy(counter, 3), "checkout")
      const { collector, lines } = yield* exported(program, {
        serviceVersion: "1.2.3",
        resourceAttributes: { "deployment.environment.name": "test" },
        headers: { "x-api-key": Redacted.make(secret) }
      })
      assert.deepStrictEqual(paths(collector), ["/v1/metrics", "/v1/traces"])
      assert.deepStrictEqual(
        collector.requests.map(({ headers }) => [headers["x-api-key"], headers["content-type"]]),
        [
          [secret, "application/json"],
          [secret, "application/json"]
        ]
      )
      const [span] = collector.spans()
      assert.strictEqual(span!.name, "checkout")
      assert.deepStrictEqual(span!.resource, {
        "deployment.environment.name": "test",
        "service.name": "billing",
        "service.version": "1.2.3"
      })
      assert.strictEqual(collector.metrics()[`${name}{}`], 3)
      assert.notInclude(lines.join("\n"), secret)
    })
  )

  it.scopedLive("speaks protobuf by default", () =>
    Effect.gen(function* () {
      const { collector } = yield* exported(Effect.withSpan(Effect.void, "checkout"), { protocol: undefined })
      assert.deepStrictEqual(
        collector.requests.map(({ headers }) => headers["content-type"]),
        ["application/x-protobuf", "application/x-protobuf"]
      )
      assert.isTrue(collector.requests.some(({ body }) => body.includes("checkout")))
    })
  )

  it.scopedLive("turns tracing on and names the service in log lines, which it exports if configured", () =>
    Effect.gen(function* () {
      const program = Effect.flatMap(TransportTracing, ({ enabled }) => Effect.logInfo(`tracing ${enabled}`))
      const { collector, lines } = yield* exported(program, { logs: true, metrics: false })
      assert.deepInclude(JSON.parse(lines[0]!), { message: "tracing true", annotations: { service: "billing" } })
      assert.deepStrictEqual(
        collector.logs().map(({ attributes, body }) => [body, attributes["service"]]),
        [["tracing true", "billing"]]
      )
      const off = yield* exported(program, { traces: false, metrics: false })
      assert.include(off.lines[0], "tracing false")
      assert.deepStrictEqual(off.collector.requests, [])
    })
  )

  it.scopedLive("samples the traces that begin here by its ratio, and keeps the decision for others", () =>
    Effect.gen(function* () {
      const ids: Array<string> = []
      const remember = Effect.map(Effect.orDie(Effect.currentSpan), ({ sampled, spanId, traceId }) => {
        ids.push(`${traceId} ${spanId} ${sampled}`)
      })
      const inside = (sampled: boolean) =>
        Effect.withParentSpan(
          Effect.withSpan(remember, `in ${sampled}`),
          Tracer.externalSpan({ traceId: "1".repeat(32), spanId: "2".repeat(16), sampled })
        )
      const program = Effect.all([
        Effect.withSpan(Effect.withSpan(remember, "child"), "root"),
        inside(true),
        inside(false)
      ])
      const { collector } = yield* exported(program, { sampleRatio: 0 })
      assert.deepStrictEqual(
        collector.spans().map(({ name }) => name),
        ["in true"]
      )
      assert.match(ids[0]!, /^[0-9a-f]{32} [0-9a-f]{16} false$/)
      assert.match(ids[2]!, /^1{32} [0-9a-f]{16} false$/)
      const all = yield* exported(program)
      assert.deepStrictEqual(
        all.collector.spans().map(({ name }) => name),
        ["child", "root", "in true"]
      )
    })
  )

  it.scopedLive("lets an export in flight end, and closes in time without a response", () =>
    Effect.gen(function* () {
      const spans = Effect.repeatN(Effect.withSpan(Effect.void, "checkout"), 999)
      const options = { metrics: false } as const
      const { collector } = yield* exported(Effect.zipRight(spans, Effect.yieldNow()), options)
      assert.strictEqual(collector.spans().length, 1_000)
      const impatient = { ...options, timeout: "300 millis" } as const
      const hung = yield* exported(Effect.withSpan(Effect.void, "checkout"), impatient, [undefined, undefined])
      assert.isBelow(hung.took, 5_000)
      assert.strictEqual(hung.lines.filter((line) => line.includes("Telemetry is not exported")).length, 1)
    })
  )

  it.scopedLive("logs failed exports once, for any status", () =>
    Effect.gen(function* () {
      const { lines } = yield* exported(Effect.withSpan(Effect.void, "checkout"), {}, [401, 401])
      const warnings = lines.map((line) => JSON.parse(line)).filter(({ logLevel }) => logLevel === "WARN")
      assert.strictEqual(warnings.length, 1)
      assert.include(warnings[0].annotations, { error: "status 401" })
    })
  )

  it.effect("rejects options that can't export anything, all at once and without secrets", () =>
    Effect.gen(function* () {
      const error = yield* Telemetry.layer({
        serviceName: " ",
        endpoint: `ftp://user:${secret}@host`,
        headers: { "x-api-key": Redacted.make(`${secret}\n`) },
        protocol: "grpc" as "http/json",
        sampleRatio: 1.5,
        timeout: Duration.zero
      }).pipe(Layer.build, Effect.scoped, Effect.flip)
      assert.deepStrictEqual(
        error.issues.map(({ field }) => field),
        ["serviceName", "endpoint", "headers", "protocol", "sampleRatio", "timeout"]
      )
      assert.notInclude(error.message, secret)
      const credentials = yield* Telemetry.layer({ serviceName: "billing", endpoint: `http://u:${secret}@host` }).pipe(
        Layer.build,
        Effect.scoped,
        Effect.flip
      )
      assert.include(credentials.message, "must not contain a user name or password")
      assert.notInclude(credentials.message, secret)
    })
  )

  describe("layerConfig", () => {
    const withEnvironment = (environment: Record<string, string>) =>
      Layer.setConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(environment))))

    it.scopedLive("reads OpenTelemetry's environment variables", () =>
      Effect.gen(function* () {
        const collector = yield* Collector.make
        const sampled: Array<boolean> = []
        yield* Effect.flatMap(Effect.orDie(Effect.currentSpan), (span) =>
          Effect.sync(() => sampled.push(span.sampled))
        ).pipe(
          Effect.withSpan("checkout"),
          Effect.provide(Telemetry.layerConfig()),
          Effect.provide(
            withEnvironment({
              OTEL_SERVICE_NAME: "billing",
              OTEL_RESOURCE_ATTRIBUTES: "team=payments",
              OTEL_EXPORTER_OTLP_ENDPOINT: `${collector.url}/`,
              OTEL_EXPORTER_OTLP_HEADERS: `x-api-key=${secret},x-tenant=a%20b`,
              OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
              OTEL_METRICS_EXPORTER: "none",
              OTEL_TRACES_SAMPLER: "parentbased_traceidratio",
              OTEL_TRACES_SAMPLER_ARG: "1"
            })
          )
        )
        assert.deepStrictEqual(sampled, [true])
        const [request] = collector.requests
        assert.strictEqual(request!.path, "/v1/traces")
        assert.deepStrictEqual([request!.headers["x-api-key"], request!.headers["x-tenant"]], [secret, "a b"])
        assert.deepStrictEqual(collector.spans()[0]!.resource, { team: "payments", "service.name": "billing" })
      })
    )

    it.effect("exports and traces nothing if OpenTelemetry is disabled", () =>
      Effect.gen(function* () {
        const { enabled } = yield* TransportTracing
        assert.isFalse(enabled)
      }).pipe(Effect.provide(Telemetry.layerConfig()), Effect.provide(withEnvironment({ OTEL_SDK_DISABLED: "true" })))
    )

    it.effect("names the invalid variable, never a secret", () =>
      Effect.gen(function* () {
        const wrong = (environment: Record<string, string>) =>
          Telemetry.layerConfig().pipe(
            Layer.build,
            Effect.scoped,
            Effect.flip,
            Effect.map(String),
            Effect.provide(withEnvironment(environment))
          )
        assert.include(yield* wrong({}), "OTEL_SERVICE_NAME")
        const sampler = yield* wrong({ OTEL_SERVICE_NAME: "billing", OTEL_TRACES_SAMPLER: "jaeger_remote" })
        assert.include(sampler, "OTEL_TRACES_SAMPLER")
        const headers = yield* wrong({ OTEL_SERVICE_NAME: "billing", OTEL_EXPORTER_OTLP_HEADERS: secret })
        assert.include(headers, "OTEL_EXPORTER_OTLP_HEADERS")
        assert.notInclude(headers, secret)
      })
    )
  })
})
