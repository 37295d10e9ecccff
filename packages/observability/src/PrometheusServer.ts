/**
 * An HTTP server that Prometheus scrapes, and the bare app for programs that have a server of their own.
 */

import * as Http from "node:http"
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpMiddleware from "@effect/platform/HttpMiddleware"
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServer from "@effect/platform/HttpServer"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Environment from "@spillway/transport/Environment"
import type { Config } from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import * as PrometheusFormat from "./PrometheusFormat.js"

export type PrometheusServerErrorReason =
  /** Another program, or another server of this one, listens there. */
  | "AddressInUse"
  /** The address can't be listened at: a privileged port, or a host that isn't this machine's. */
  | "ListenFailed"
  | "InvalidOption"

/** The metrics can't be served. */
export class PrometheusServerError extends Data.TaggedError("PrometheusServerError")<{
  readonly reason: PrometheusServerErrorReason
  readonly description: string
  readonly cause?: unknown
}> {
  override get message(): string {
    return `${this.reason}: ${this.description}`
  }
}

/** The running server. */
export class PrometheusServer extends Context.Tag("@spillway/observability/PrometheusServer")<
  PrometheusServer,
  {
    readonly host: string
    /** The port listened at, chosen by the system if the option was 0. */
    readonly port: number
    readonly path: string
  }
>() {}

export interface PrometheusServerOptions {
  /** 0 lets the system choose. Default: 8080. */
  readonly port?: number | undefined
  /** Starts with `/`. Every other path is answered with 404. Default: `/metrics`. */
  readonly path?: HttpRouter.PathInput | undefined
  /** The address to listen at. Default: `0.0.0.0`, every interface. */
  readonly host?: string | undefined
}

/** Answers any request with the metrics of this process: `HttpRouter.get("/metrics", PrometheusServer.app)`. */
export const app: HttpApp.Default = Effect.sync(() =>
  HttpServerResponse.text(PrometheusFormat.format(Metric.unsafeSnapshot()), {
    contentType: PrometheusFormat.contentType
  })
)

const pathRule = 'must start with "/"'

const isPath = (path: string): path is `/${string}` => path.startsWith("/")

const check = ({ path, port }: PrometheusServerOptions): ReadonlyArray<Environment.Issue> => {
  const issues: Array<Environment.Issue> = []
  if (port !== undefined && !(Number.isInteger(port) && port >= 0 && port <= 65_535)) {
    issues.push({ field: "port", value: port, description: "must be a whole number from 0 to 65535" })
  }
  if (path !== undefined && !isPath(path)) issues.push({ field: "path", value: path, description: pathRule })
  return issues
}

const listenError = (host: string, port: number, cause: unknown): PrometheusServerError => {
  const inUse = typeof cause === "object" && cause !== null && "code" in cause && cause.code === "EADDRINUSE"
  return new PrometheusServerError({
    reason: inUse ? "AddressInUse" : "ListenFailed",
    description: `can't listen at ${host}:${port}`,
    cause
  })
}

/** Stops listening, lets running scrapes end, and cuts off what hasn't ended after a second. */
const shutdown = (server: Http.Server): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    server.close(() => resume(Effect.void))
  }).pipe(
    Effect.interruptible,
    Effect.timeoutOption("1 second"),
    Effect.zipRight(Effect.sync(() => server.closeAllConnections()))
  )

/** Serves the metrics until the scope closes. */
export const make = Effect.fnUntraced(function* (
  options?: PrometheusServerOptions | undefined
): Effect.fn.Return<Context.Tag.Service<PrometheusServer>, PrometheusServerError, Scope.Scope> {
  const { host = "0.0.0.0", path = "/metrics", port = 8080 } = options ?? {}
  const issues = check({ path, port })
  if (issues.length > 0) {
    const description = issues.map(Environment.describe).join("; ")
    return yield* new PrometheusServerError({ reason: "InvalidOption", description })
  }
  const node = Http.createServer()
  const server = yield* NodeHttpServer.make(() => node, { host, port }).pipe(
    Effect.mapError(({ cause }) => listenError(host, port, cause))
  )
  const router = HttpRouter.empty.pipe(
    HttpRouter.get(path, app),
    Effect.catchTag("RouteNotFound", () => HttpServerResponse.empty({ status: 404 }))
  )
  yield* HttpServer.serveEffect(router).pipe(
    Effect.provideService(HttpServer.HttpServer, server),
    Effect.locally(HttpMiddleware.currentTracerDisabledWhen, () => true)
  )
  yield* Effect.addFinalizer(() => shutdown(node))
  const address = server.address
  const listening = { host, port: address._tag === "TcpAddress" ? address.port : port, path }
  yield* Effect.logInfo("Metrics served").pipe(Effect.annotateLogs(listening))
  return listening
})

/** Serves the metrics at `http://{host}:{port}{path}`. Fails when the address is taken. */
export const layer = (
  options?: PrometheusServerOptions | undefined
): Layer.Layer<PrometheusServer, PrometheusServerError> => Layer.scoped(PrometheusServer, make(options))

const parsers: Environment.Parsers<PrometheusServerOptions> = {
  port: Environment.number,
  path: (text) => (isPath(text) ? Either.right(text) : Either.left(pathRule)),
  host: Environment.text
}

/** `METRICS_PORT`, `METRICS_PATH` and `METRICS_HOST`, each optional. */
export const config = (defaults: PrometheusServerOptions = {}): Config<PrometheusServerOptions> =>
  Environment.options({ prefix: "METRICS", parsers, defaults, check })

/** `layer` with what the environment says; see `config`. */
export const layerConfig = (
  defaults?: PrometheusServerOptions | undefined
): Layer.Layer<PrometheusServer, PrometheusServerError | ConfigError> =>
  Layer.scoped(PrometheusServer, Effect.flatMap(config(defaults), make))
