/**
 * An HTTP server that reports the health of this process's consumers and producers, for people and for probes of
 * Kubernetes and load balancers. `HttpApps.health` is for programs with their own server.
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
import type { Probe } from "./internal/healthReply.js"
import * as HealthReply from "./internal/healthReply.js"
import { settings } from "./internal/healthServerSettings.js"
import * as Server from "./internal/server.js"

export type { Listening, Path, ServerErrorFields, ServerErrorReason, ServerOptions } from "./internal/server.js"

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
  readonly path?: Server.Path | undefined
}

export type { Probe }

const routes = (path: Server.Path): Server.Routes => {
  const base = path.replace(/\/+$/, "")
  return {
    [path]: HealthReply.reply("health"),
    [`${base}/live`]: HealthReply.reply("live"),
    [`${base}/ready`]: HealthReply.reply("ready")
  }
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
