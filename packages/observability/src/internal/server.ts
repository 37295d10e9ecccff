/**
 * An HTTP server of this package: it listens, serves a router's paths, and stops with its scope.
 */
import * as Http from "node:http"
import * as HttpMiddleware from "@effect/platform/HttpMiddleware"
import type * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServer from "@effect/platform/HttpServer"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Concurrency from "@spillway/transport/runtime/Concurrency"
import * as Settings from "@spillway/transport/runtime/Settings"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Scope from "effect/Scope"

/** Why an HTTP server can't serve. */
export type ServerErrorReason =
  /** The port is already in use, by another program or by another server of this one. */
  | "AddressInUse"
  /** Listening on the address is impossible: a privileged port, or a host that isn't this machine's. */
  | "ListenFailed"

/** The fields of a server's error. */
export interface ServerErrorFields {
  /** Why the server can't serve. */
  readonly reason: ServerErrorReason
  /** The address. */
  readonly description: string
  /** The system's error, if listening failed. */
  readonly cause?: unknown
}

/** The address and the path of a server. */
export interface ServerOptions {
  /** The TCP port; 0 lets the system choose. */
  readonly port?: number | undefined
  /** The path to serve; starts with `/`. */
  readonly path?: HttpRouter.PathInput | undefined
  /** The address to listen on. Default: `0.0.0.0`, every interface. */
  readonly host?: string | undefined
}

const pathRule = 'must start with "/"'

const isPath = (given: unknown): given is HttpRouter.PathInput => typeof given === "string" && given.startsWith("/")

/** The settings of a server's options. */
export const fields = (path: HttpRouter.PathInput, pathMeaning: string, port: number) => ({
  port: Settings.or(
    Settings.number(
      { meaning: "0 lets the system choose" },
      (given) => Number.isInteger(given) && given >= 0 && given <= 65_535,
      "must be a whole number from 0 to 65535"
    ),
    port
  ),
  path: Settings.or(
    Settings.make<HttpRouter.PathInput>(
      { meaning: pathMeaning },
      (text) => (isPath(text) ? Either.right(text) : Either.left(pathRule)),
      isPath,
      pathRule
    ),
    path
  ),
  host: Settings.or(Settings.text({ meaning: "the address to listen at" }), "0.0.0.0")
})

/** A running server. */
export interface Listening {
  /** The address that the server listens on. */
  readonly host: string
  /** The port in use, chosen by the system if the option was 0. */
  readonly port: number
  /** The path that it serves. */
  readonly path: HttpRouter.PathInput
}

const listenError = (host: string, port: number, cause: unknown): ServerErrorFields => {
  const inUse = typeof cause === "object" && cause !== null && "code" in cause && cause.code === "EADDRINUSE"
  return { reason: inUse ? "AddressInUse" : "ListenFailed", description: `can't listen on ${host}:${port}`, cause }
}

/** Stops listening, lets running requests finish, and cuts off those that are still running after a second. */
const shutdown = (server: Http.Server): Effect.Effect<void> =>
  Effect.zipRight(
    Concurrency.timeoutOption(
      Effect.interruptible(
        Effect.async<void>((resume) => {
          server.close(() => resume(Effect.void))
        })
      ),
      "1 second"
    ),
    Effect.sync(() => server.closeAllConnections())
  )

/** Serves the routes until the scope closes; all other paths return 404. */
export const serve = Effect.fnUntraced(function* (
  { host, path, port }: { readonly host: string; readonly port: number; readonly path: HttpRouter.PathInput },
  routes: HttpRouter.HttpRouter
): Effect.fn.Return<Listening, ServerErrorFields, Scope.Scope> {
  const node = Http.createServer()
  const server = yield* NodeHttpServer.make(() => node, { host, port }).pipe(
    Effect.mapError(({ cause }) => listenError(host, port, cause))
  )
  const app = routes.pipe(Effect.catchTag("RouteNotFound", () => HttpServerResponse.empty({ status: 404 })))
  yield* HttpServer.serveEffect(app).pipe(
    Effect.provideService(HttpServer.HttpServer, server),
    Effect.locally(HttpMiddleware.currentTracerDisabledWhen, () => true)
  )
  yield* Effect.addFinalizer(() => shutdown(node))
  const { address } = server
  return { host, port: address._tag === "TcpAddress" ? address.port : port, path }
})
