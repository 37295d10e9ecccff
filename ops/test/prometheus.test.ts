import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { everyKind, type Program, start } from "../../examples/orders/test/program.js"
import * as Prometheus from "./prometheus.js"

const path = (name: string): string => fileURLToPath(new URL(`../${name}`, import.meta.url))
const alerts = readFileSync(path("prometheus/alerts.yaml"), "utf8")

/** The same rules, in seconds instead of minutes. */
const quickAlerts = alerts
  .replaceAll("[5m]", "[10s]")
  .replaceAll("[10m]", "[10s]")
  .replace(/for: \d+m/g, "for: 1s")

const failureAlerts = ["HighErrorRate", "DLQMessages"]

interface Sample {
  readonly metric: Readonly<Record<string, string>>
  readonly value: readonly [at: number, value: string]
}

interface Alert {
  readonly labels: Readonly<Record<string, string>>
  readonly state: "pending" | "firing"
}

const program = (environment: Readonly<Record<string, string>>): Effect.Effect<Program, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => start(environment)),
    (program) => Effect.sync(program.dispose)
  )

const addressOf = (program: Program): Effect.Effect<string> =>
  Effect.map(
    Effect.promise(() => program.line(({ message }) => message === "Metrics served")),
    ({ port }) => `127.0.0.1:${port}`
  )

const names = (samples: ReadonlyArray<Sample>): ReadonlySet<string> =>
  new Set(samples.map(({ metric }) => metric["__name__"]!))

/** Every metric that a rule, a panel or the documentation names. */
const spokenOf = (text: string): ReadonlySet<string> =>
  new Set(text.match(/example_service_[a-z_]+(?<!_)/g)?.filter((name) => name !== "example_service"))

/** The names in the tables of the page on metrics. A histogram is scraped as its count, sum and buckets. */
const documentedMetrics = readFileSync(path("../docs/metrics.md"), "utf8")
  .split("\n")
  .flatMap((line) => {
    const [, names = "", kind = ""] = line.split("|")
    // The table of the server's options has its variables there.
    if (kind.trimStart().startsWith("`")) return []
    const suffix = kind.includes("histogram") ? "_count" : ""
    return Array.from(names.matchAll(/`([a-z_]+)`/g), ([, name]) => `example_service_${name}${suffix}`)
  })

const dashboard: {
  readonly panels: ReadonlyArray<{
    readonly title: string
    readonly targets?: ReadonlyArray<{ readonly expr: string }>
  }>
} = JSON.parse(readFileSync(path("grafana/dashboard.json"), "utf8"))

const panelQueries = dashboard.panels.flatMap(({ targets = [], title }) =>
  targets.map(({ expr }) => ({
    title,
    query: expr
      .replaceAll(/\$\{service\}/g, "example_service")
      .replaceAll("$group", ".*")
      .replaceAll("$topic", ".*")
      .replaceAll("$__rate_interval", "10s")
  }))
)

Prometheus.describePrometheus("Prometheus", () => {
  it("finds nothing wrong with the alerts", () => {
    const checked = Prometheus.promtool(["check", "rules", path("prometheus/alerts.yaml")])
    assert.strictEqual(checked.code, 0, checked.output)
    assert.include(checked.output, "SUCCESS")
    const tested = Prometheus.promtool(["test", "rules", path("prometheus/alerts.test.yaml")])
    assert.strictEqual(tested.code, 0, tested.output)
  })

  it.scopedLive(
    "has a value of every metric, and raises the alerts only where handling fails",
    () =>
      Effect.gen(function* () {
        const failing = yield* program({})
        const quiet = yield* program({ ORDER_CARDS: "valid" })
        const { api } = yield* Prometheus.make({
          jobs: { failing: yield* addressOf(failing), quiet: yield* addressOf(quiet) },
          rules: quickAlerts
        })
        const query = (expression: string) =>
          Effect.map(
            api<{ readonly result: ReadonlyArray<Sample> }>("/api/v1/query", { query: expression }),
            ({ result }) => result
          )
        yield* Effect.promise(() => everyKind(failing))

        const { body } = yield* Effect.promise(failing.metrics)
        const linted = Prometheus.promtool(["check", "metrics"], body)
        assert.deepStrictEqual(linted, { code: 0, output: "" })

        const firing = Effect.map(api<{ readonly alerts: ReadonlyArray<Alert> }>("/api/v1/alerts"), ({ alerts }) =>
          alerts.filter(({ state }) => state === "firing")
        )
        const raised = yield* firing.pipe(
          Effect.filterOrFail((alerts) =>
            failureAlerts.every((name) =>
              alerts.some(({ labels }) => labels["alertname"] === name && labels["job"] === "failing")
            )
          ),
          Effect.retry(Schedule.spaced("200 millis")),
          Effect.timeout("40 seconds")
        )
        assert.deepStrictEqual(new Set(raised.map(({ labels }) => labels["job"])), new Set(["failing"]))
        const described = raised.map(({ labels }) => `${labels["alertname"]} ${labels["severity"]} ${labels["topic"]}`)
        assert.includeMembers(described, ["HighErrorRate warning orders", "DLQMessages critical orders"])
        const handledQuietly = yield* query(
          'example_service_messages_processed_total{job="quiet",group="payments",status="success"}'
        )
        assert.isAbove(Number(handledQuietly[0]!.value[1]), 3, "the quiet program handles records")

        const scraped = names(yield* query('{job="failing"}'))
        const documented = new Set([
          ...documentedMetrics,
          ...spokenOf(alerts),
          ...panelQueries.flatMap(({ query }) => Array.from(spokenOf(query)))
        ])
        assert.isAbove(documentedMetrics.length, 25)
        assert.deepStrictEqual(
          Array.from(documented).filter((name) => !scraped.has(name)),
          []
        )
        for (const panel of panelQueries) {
          assert.isAbove((yield* query(panel.query)).length, 0, `panel ${panel.title}: ${panel.query}`)
        }
      }),
    { timeout: 90_000 }
  )
})
