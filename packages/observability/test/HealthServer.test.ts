import * as HttpApp from "@effect/platform/HttpApp"
import { assert, describe, it } from "@effect/vitest"
import * as Health from "@spillway/transport/Health"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as HealthServer from "../src/HealthServer.js"
import * as HttpApps from "../src/HttpApps.js"
import { readHealth } from "./readHealth.js"

const local = { host: "127.0.0.1", port: 0 } as const

const up: Health.HealthCheck = { status: "up", state: "sending" }

/** Serves a component with the given checks. */
const serving = (options: HealthServer.HealthServerOptions, ...checks: ReadonlyArray<Health.HealthCheck>) =>
  Effect.gen(function* () {
    const context = yield* Layer.build(HealthServer.layer({ ...local, ...options }))
    const health = yield* Effect.provide(Health.Health, context)
    for (const check of checks) yield* health.register("producer", () => ({ check }))
    return { server: Context.get(context, HealthServer.HealthServer), health }
  })

describe("HealthServer", () => {
  it.scopedLive("answers 200 with every component while none is down", () =>
    Effect.gen(function* () {
      const { server } = yield* serving({}, up, { status: "degraded", state: "waiting", details: { pending: 3 } })
      const { body, headers, status } = yield* readHealth(server, "/health")
      assert.strictEqual(status, 200)
      assert.strictEqual(headers.get("content-type"), "application/json")
      assert.strictEqual(headers.get("cache-control"), "no-store")
      assert.deepStrictEqual(body, {
        status: "degraded",
        components: {
          producer: { status: "up", checks: { check: up } },
          "producer #2": {
            status: "degraded",
            checks: { check: { status: "degraded", state: "waiting", details: { pending: 3 } } }
          }
        }
      })
      for (const probe of ["live", "ready"]) {
        assert.deepStrictEqual((yield* readHealth(server, `/health/${probe}`)).body, { status: "up", components: {} })
      }
    })
  )

  it.scopedLive("answers 503 to the failed question, and a probe with the components that fail it", () =>
    Effect.gen(function* () {
      const { server } = yield* serving(
        {},
        up,
        { status: "down", state: "unreachable" },
        { status: "up", state: "draining", ready: false },
        { status: "up", state: "stuck", live: false }
      )
      const health = yield* readHealth(server, "/health")
      assert.deepStrictEqual([health.status, health.body.status], [503, "down"])
      assert.lengthOf(Object.keys(health.body.components), 4)
      const ready = yield* readHealth(server, "/health/ready")
      assert.deepStrictEqual([ready.status, ready.body.status], [503, "down"])
      assert.deepStrictEqual(Object.keys(ready.body.components), ["producer #3"])
      const live = yield* readHealth(server, "/health/live")
      assert.deepStrictEqual([live.status, live.body.status], [503, "down"])
      assert.deepStrictEqual(Object.keys(live.body.components), ["producer #4"])
    })
  )

  it.scopedLive("is live and not ready while nothing has registered", () =>
    Effect.gen(function* () {
      const { server } = yield* serving({})
      assert.strictEqual((yield* readHealth(server, "/health")).status, 200)
      assert.strictEqual((yield* readHealth(server, "/health/live")).status, 200)
      assert.strictEqual((yield* readHealth(server, "/health/ready")).status, 503)
    })
  )

  for (const path of ["/", "/internal/", "/a/b"] as const) {
    it.scopedLive(`serves below the path ${path}`, () =>
      Effect.gen(function* () {
        const { server } = yield* serving({ path }, up)
        const base = path.replace(/\/$/, "")
        for (const served of [path, `${base}/live`, `${base}/ready`]) {
          assert.strictEqual((yield* readHealth(server, served)).status, 200, served)
        }
        for (const other of ["/health", "/live/live"]) {
          assert.strictEqual((yield* readHealth(server, other)).status, 404, other)
        }
      })
    )
  }

  it.scopedLive("serves the health of a layer that is provided to it", () =>
    Effect.gen(function* () {
      const given = yield* Health.make({ stalledAfter: "5 seconds" })
      yield* given.register("database", () => ({ connection: up }))
      const { health, server } = yield* Effect.provideService(serving({}), Health.Health, given)
      assert.strictEqual(health, given)
      assert.property((yield* readHealth(server, "/health")).body.components, "database")
    })
  )

  it.scopedLive("is also available as apps of @effect/platform", () =>
    Effect.gen(function* () {
      const given = yield* Health.make()
      yield* given.register("producer", () => ({ check: { ...up, ready: false } }))
      const answer = (probe: HealthServer.Probe) =>
        Effect.promise(() =>
          HttpApp.toWebHandler(Effect.provideService(HttpApps.health(probe), Health.Health, given))(
            new Request("http://localhost/anywhere")
          )
        )
      assert.strictEqual((yield* answer("health")).status, 200)
      assert.strictEqual((yield* answer("live")).status, 200)
      assert.strictEqual((yield* answer("ready")).status, 503)
    })
  )

  it.scopedLive("fails with AddressInUse if the port is taken", () =>
    Effect.gen(function* () {
      const { server } = yield* serving({})
      const error = yield* Effect.flip(Layer.launch(HealthServer.layer({ host: "127.0.0.1", port: server.port })))
      assert(error._tag === "HealthServerError")
      assert.strictEqual(error.reason, "AddressInUse")
    })
  )

  it.live("rejects invalid options, all at once", () =>
    Effect.gen(function* () {
      const wrong = { port: -1, path: "health" as "/health", stalledAfter: 0 }
      const error = yield* Effect.flip(Layer.launch(HealthServer.layer(wrong)))
      assert.strictEqual(error._tag, "InvalidOptions")
      for (const field of ["port", "path", "stalledAfter"]) assert.include(error.message, field)
    })
  )

  it.scopedLive("reads its options from the configuration", () =>
    Effect.gen(function* () {
      const environment = new Map([
        ["HEALTH_PORT", "0"],
        ["HEALTH_PATH", "/status"],
        ["HEALTH_HOST", "127.0.0.1"],
        ["HEALTH_STALLED_AFTER", "7 seconds"]
      ])
      const context = yield* Layer.build(HealthServer.layerConfig()).pipe(
        Effect.withConfigProvider(ConfigProvider.fromMap(environment))
      )
      const server = Context.get(context, HealthServer.HealthServer)
      assert.strictEqual((yield* readHealth(server, "/status")).status, 200)
      const { stalledAfter } = yield* Effect.provide(Health.Health, context)
      assert.strictEqual(Duration.toMillis(stalledAfter), 7_000)
    })
  )

  it.live("names every invalid variable", () =>
    Effect.gen(function* () {
      const environment = new Map([
        ["HEALTH_PORT", "70000"],
        ["HEALTH_PATH", "health"],
        ["HEALTH_STALLED_AFTER", "soon"]
      ])
      const error = yield* Effect.flip(Layer.launch(HealthServer.layerConfig())).pipe(
        Effect.withConfigProvider(ConfigProvider.fromMap(environment))
      )
      for (const name of environment.keys()) assert.include(String(error), name)
    })
  )
})
