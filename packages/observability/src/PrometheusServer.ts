/**
 * An HTTP server for Prometheus to scrape. `HttpApps.metrics` is for programs with their own server.
 */

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
import * as MetricsReply from "./internal/metricsReply.js"
import { settings } from "./internal/prometheusSettings.js"
import * as Server from "./internal/server.js"

export type { Listening, Path, ServerErrorFields, ServerErrorReason, ServerOptions } from "./internal/server.js"

/** Why the metrics can't be served. */
export type PrometheusServerErrorReason = Server.ServerErrorReason

/** The metrics can't be served. */
export class PrometheusServerError extends Data.TaggedError("PrometheusServerError")<Server.ServerErrorFields> {
  override get message(): string {
    return `${this.reason}: ${this.description}`
  }
}

/** The running server. */
export class PrometheusServer extends Context.Tag("@spillway/observability/PrometheusServer")<
  PrometheusServer,
  Server.Listening
>() {}

/** The options of the server; all have defaults. */
export interface PrometheusServerOptions extends Server.ServerOptions {
  /** The TCP port; 0 lets the system choose. Default: 8080. */
  readonly port?: number | undefined
  /** The path; starts with `/`. Other paths return 404. Default: `/metrics`. */
  readonly path?: Server.Path | undefined
}

/** Serves the metrics until the scope closes. */
export const make = Effect.fnUntraced(function* (
  options: PrometheusServerOptions = {}
): Effect.fn.Return<Context.Tag.Service<PrometheusServer>, PrometheusServerError | InvalidOptions, Scope.Scope> {
  const address = yield* Settings.decode(settings, options)
  const listening = yield* Server.serve(address, { [address.path]: MetricsReply.reply }).pipe(
    Effect.mapError((fields) => new PrometheusServerError(fields))
  )
  yield* Logging.log(LogLevel.Info, "Metrics served", { ...listening })
  return listening
})

/** Serves the metrics at `http://{host}:{port}{path}`. Fails if the address is in use. */
export const layer = (
  options?: PrometheusServerOptions | undefined
): Layer.Layer<PrometheusServer, PrometheusServerError | InvalidOptions> =>
  Layer.scoped(PrometheusServer, make(options))

/**
 * `PROMETHEUS_PORT`, `PROMETHEUS_PATH` and `PROMETHEUS_HOST`, each optional; within a namespace `A`, `A_PROMETHEUS_PORT`.
 */
export const config = (
  defaults?: PrometheusServerOptions | undefined,
  namespace?: string | undefined
): Config<PrometheusServerOptions> => Settings.config(settings, defaults, namespace)

/** `layer` with the options from the environment; see `config`. */
export const layerConfig = (
  defaults?: PrometheusServerOptions | undefined,
  namespace?: string | undefined
): Layer.Layer<PrometheusServer, PrometheusServerError | InvalidOptions | ConfigError> =>
  Layer.scoped(PrometheusServer, Effect.flatMap(config(defaults, namespace), make))
