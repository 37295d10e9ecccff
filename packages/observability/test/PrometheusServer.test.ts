import { once } from "node:events"
import * as Net from "node:net"
import * as HttpApp from "@effect/platform/HttpApp"
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Scope from "effect/Scope"
import * as HttpApps from "../src/HttpApps.js"
import * as PrometheusFormat from "../src/PrometheusFormat.js"
import * as PrometheusServer from "../src/PrometheusServer.js"
import { parse } from "./exposition.js"

const local = { host: "127.0.0.1", port: 0 }

interface Listening {
  readonly host: string
  readonly port: number
}

const scrape = ({ host, port }: Listening, path: string, init?: RequestInit) =>
  Effect.promise(async () => {
    const response = await fetch(`http://${host}:${port}${path}`, init)
    return { status: response.status, type: response.headers.get("content-type"), body: await response.text() }
  })

const listens = ({ host, port }: Listening) =>
  Effect.promise(
    () =>
      new Promise<boolean>((resolve) => {
        const socket = Net.connect(port, host)
        socket.once("connect", () => resolve(true)).once("error", () => resolve(false))
        socket.once("connect", () => socket.destroy())
      })
  )

describe("PrometheusServer", () => {
  it.scopedLive("serves this process's metrics, current at each scrape", () =>
    Effect.gen(function* () {
      const hits = Metric.counter("server_test_hits_total", { incremental: true, description: "Hits" })
      const server = yield* PrometheusServer.make(local)
      yield* Metric.incrementBy(hits, 2)
      const first = yield* scrape(server, "/metrics")
      assert.strictEqual(first.status, 200)
      assert.strictEqual(first.type, PrometheusFormat.contentType)
      const found = (body: string) => parse(body).find(({ name }) => name === "server_test_hits_total")
      assert.strictEqual(found(first.body)?.samples[0]?.value, 2)
      assert.strictEqual(found(first.body)?.help, "Hits")
      yield* Metric.increment(hits)
      const second = yield* scrape(server, "/metrics")
      assert.strictEqual(found(second.body)?.samples[0]?.value, 3)
    })
  )

  it.scopedLive("answers other paths with 404 and serves at its own path", () =>
    Effect.gen(function* () {
      const server = yield* PrometheusServer.make({ ...local, path: "/internal/prometheus" })
      assert.strictEqual(server.path, "/internal/prometheus")
      assert.strictEqual((yield* scrape(server, "/internal/prometheus")).status, 200)
      assert.strictEqual((yield* scrape(server, "/metrics")).status, 404)
      assert.strictEqual((yield* scrape(server, "/")).status, 404)
      assert.strictEqual((yield* scrape(server, "/internal/prometheus", { method: "POST" })).status, 404)
    })
  )

  it.scopedLive("answers HEAD without a body, and ignores a query and slashes at the end", () =>
    Effect.gen(function* () {
      const server = yield* PrometheusServer.make(local)
      const head = yield* scrape(server, "/metrics", { method: "HEAD" })
      assert.deepStrictEqual(head, { status: 200, type: PrometheusFormat.contentType, body: "" })
      for (const path of ["/metrics?name[]=up", "/metrics/", "/metrics//?x"]) {
        assert.strictEqual((yield* scrape(server, path)).status, 200, path)
      }
      assert.strictEqual((yield* scrape(server, "/metrics/x")).status, 404)
    })
  )

  it.scopedLive("is also available as an app of @effect/platform", () =>
    Effect.gen(function* () {
      const response = yield* Effect.promise(() =>
        HttpApp.toWebHandler(HttpApps.metrics)(new Request("http://localhost/anywhere"))
      )
      assert.strictEqual(response.status, 200)
      assert.strictEqual(response.headers.get("content-type"), PrometheusFormat.contentType)
    })
  )

  it.scopedLive("fails with AddressInUse if the port is taken", () =>
    Effect.gen(function* () {
      const { port } = yield* PrometheusServer.make(local)
      const error = yield* Effect.flip(Layer.launch(PrometheusServer.layer({ host: "127.0.0.1", port })))
      assert.strictEqual(error._tag, "PrometheusServerError")
      assert(error._tag === "PrometheusServerError")
      assert.strictEqual(error.reason, "AddressInUse")
      assert.include(error.message, `127.0.0.1:${port}`)
    })
  )

  it.live("fails with ListenFailed on an address that isn't this machine's", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Layer.launch(PrometheusServer.layer({ host: "192.0.2.1", port: 0 })))
      assert(error._tag === "PrometheusServerError")
      assert.strictEqual(error.reason, "ListenFailed")
    })
  )

  for (const port of [-1, 65_536, 1.5, Number.NaN]) {
    it.live(`rejects the port ${port}`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(Layer.launch(PrometheusServer.layer({ host: "127.0.0.1", port })))
        assert.strictEqual(error._tag, "InvalidOptions")
        assert.include(error.message, `port must be a whole number from 0 to 65535, not ${port}`)
      })
    )
  }

  it.live("stops listening when its scope closes, though a client holds a connection open", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const server = yield* Scope.extend(PrometheusServer.make(local), scope)
      const idle = Net.connect(server.port, server.host)
      const ended = once(idle, "close")
      yield* Effect.promise(() => once(idle, "connect"))
      idle.on("error", () => {})
      idle.write("GET /metrics HTTP/1.1\r\n")
      yield* scrape(server, "/metrics")
      yield* Scope.close(scope, Exit.void)
      yield* Effect.promise(() => ended)
      assert.isFalse(yield* listens(server))
    })
  )

  it.scopedLive("reads its port, path and host from the configuration", () =>
    Effect.gen(function* () {
      const environment = new Map([
        ["PROMETHEUS_PORT", "0"],
        ["PROMETHEUS_PATH", "/stats"],
        ["PROMETHEUS_HOST", "127.0.0.1"]
      ])
      const context = yield* Layer.build(PrometheusServer.layerConfig()).pipe(
        Effect.withConfigProvider(ConfigProvider.fromMap(environment))
      )
      const server = Context.get(context, PrometheusServer.PrometheusServer)
      assert.strictEqual(server.path, "/stats")
      assert.strictEqual((yield* scrape(server, "/stats")).status, 200)
    })
  )

  it.live("reports all invalid variables at once", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Layer.launch(PrometheusServer.layerConfig())).pipe(
        Effect.withConfigProvider(
          ConfigProvider.fromMap(
            new Map([
              ["PROMETHEUS_PORT", "70000"],
              ["PROMETHEUS_PATH", "metrics"]
            ])
          )
        )
      )
      assert.include(String(error), 'PROMETHEUS_PORT: "port must be a whole number from 0 to 65535, not "70000""')
      assert.include(String(error), 'PROMETHEUS_PATH: "path must start with "/", not "metrics""')
    })
  )
})
