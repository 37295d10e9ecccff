/**
 * An HTTP server that reports the health of this process's consumers and producers, for people and for probes of
 * Kubernetes and load balancers, and the bare app for programs with their own server.
 *
 * | path | 200 | 503 |
 * |---|---|---|
 * | `/health` | every component is `up` or `degraded` | one is `down` |
 * | `/health/live` | a restart would not help | only a restart helps |
 * | `/health/ready` | every consumer and producer takes records | one is starting, draining, or has ended |
 *
 * Responses are JSON: `/health` lists every component, a probe lists those that fail it. They are served from cached
 * state, so they return immediately. `docs/health.md` describes all states.
 */

import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Health from "@spillway/transport/Health"
import type { InvalidOptions } from "@spillway/transport/InvalidOptions"
import * as Logging from "@spillway/transport/runtime/Logging"
import * as Settings from "@spillway/transport/runtime/Settings"
import type { Config } from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as LogLevel from "effect/LogLevel"
import type * as Scope from "effect/Scope"
import { settings } from "./internal/healthServerSettings.js"
import * as Server from "./internal/server.js"

/** Why health can't be served. */
export type HealthServerErrorReason = Server.ServerErrorReason

/** Health can't be served. */
export class HealthServerError extends Data.TaggedError("HealthServerError")<Server.ServerErrorFields> {
  override get message(): string {
    return `${this.reason}: ${this.description}`
  }
}

/** The running server. */
export class HealthServer extends Context.Tag("@spillway/observability/HealthServer")<
  HealthServer,
  Server.Listening
>() {}

/** The options of the server and of the health that it turns on; all have defaults. */
export interface HealthServerOptions extends Server.ServerOptions, Health.HealthOptions {
  /** The TCP port; 0 lets the system choose. Default: 8081. */
  readonly port?: number | undefined
  /**
   * The path; starts with `/`. The probes are below it, at `live` and `ready`. Other paths return 404. Default:
   * `/health`.
   */
  readonly path?: HttpRouter.PathInput | undefined
}

/** The question to answer: overall health, whether a restart helps, or whether components take work. */
export type Probe = "health" | "live" | "ready"

const passes: Readonly<Record<Probe, (of: Pick<Health.ComponentHealth, "status" | "live" | "ready">) => boolean>> = {
  health: ({ status }) => status !== "down",
  live: ({ live }) => live,
  ready: ({ ready }) => ready
}

const answer = (probe: Probe, report: Health.HealthReport): HttpServerResponse.HttpServerResponse => {
  const passed = passes[probe](report)
  const shown = Object.entries(report.components).filter(([, of]) => probe === "health" || !passes[probe](of))
  const status = probe === "health" ? report.status : passed ? "up" : "down"
  const components = Object.fromEntries(shown.map(([name, { checks, status }]) => [name, { status, checks }]))
  return HttpServerResponse.unsafeJson(
    { status, components },
    { status: passed ? 200 : 503, headers: { "cache-control": "no-store" } }
  )
}

/** Responds to any request with the health of this process: `HttpRouter.get("/ready", HealthServer.app("ready"))`. */
export const app = (probe: Probe = "health"): HttpApp.Default =>
  Effect.flatMap(Health.Health, ({ report }) => Effect.map(report, (report) => answer(probe, report)))

const routes = (path: HttpRouter.PathInput): HttpRouter.HttpRouter => {
  const base = path.replace(/\/+$/, "")
  return HttpRouter.empty.pipe(
    HttpRouter.get(path, app("health")),
    HttpRouter.get(`${base}/live` as HttpRouter.PathInput, app("live")),
    HttpRouter.get(`${base}/ready` as HttpRouter.PathInput, app("ready"))
  )
}

/** Serves the provided health registry, or turns health on; both until the scope closes. */
const make = Effect.fnUntraced(function* (
  options: HealthServerOptions = {}
): Effect.fn.Return<Context.Context<HealthServer>, HealthServerError | InvalidOptions, Scope.Scope> {
  const { stalledAfter, ...address } = yield* Settings.decode(settings, options)
  const present = yield* Health.Health
  const health = present.enabled ? present : yield* Health.make({ stalledAfter })
  const listening = yield* Server.serve(address, routes(address.path)).pipe(
    Effect.provideService(Health.Health, health),
    Effect.mapError((fields) => new HealthServerError(fields))
  )
  yield* Logging.log(LogLevel.Info, "Health served", { ...listening })
  return Context.add(Context.make(HealthServer, listening), Health.Health, health) as Context.Context<HealthServer>
})

/**
 * Serves health at `http://{host}:{port}{path}`, and turns it on for the consumers and producers that this layer is
 * provided to. If a `Health` layer is provided to this one, it serves that one, with its `stalledAfter`.
 */
export const layer = (
  options?: HealthServerOptions | undefined
): Layer.Layer<HealthServer, HealthServerError | InvalidOptions> => Layer.scopedContext(make(options))

/**
 * `HEALTH_PORT`, `HEALTH_PATH`, `HEALTH_HOST` and `HEALTH_STALLED_AFTER`, each optional; within a namespace `A`,
 * `A_HEALTH_PORT`.
 */
export const config = (
  defaults?: HealthServerOptions | undefined,
  namespace?: string | undefined
): Config<HealthServerOptions> => Settings.config(settings, defaults, namespace)

/** `layer` with the options from the environment; see `config`. */
export const layerConfig = (
  defaults?: HealthServerOptions | undefined,
  namespace?: string | undefined
): Layer.Layer<HealthServer, HealthServerError | InvalidOptions | ConfigError> =>
  Layer.scopedContext(Effect.flatMap(config(defaults, namespace), make))
