/**
 * An HTTP server of this package: it listens, serves a few paths, and stops with its scope. On Node's own server, since
 * Effect's brings more than all of Spillway.
 */
import * as Http from "node:http"
import * as Concurrency from "@spillway/transport/runtime/Concurrency"
import * as Settings from "@spillway/transport/runtime/Settings"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FiberSet from "effect/FiberSet"
import type * as Scope from "effect/Scope"
import type { Reply } from "./reply.js"

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

/** A path of a URL. */
export type Path = `/${string}`

/** The reply to each path. */
export type Routes = Readonly<Record<Path, Effect.Effect<Reply>>>

/** The address and the path of a server. */
export interface ServerOptions {
  /** The TCP port; 0 lets the system choose. */
  readonly port?: number | undefined
  /** The path to serve; starts with `/`. */
  readonly path?: Path | undefined
  /** The address to listen on. Default: `0.0.0.0`, every interface. */
  readonly host?: string | undefined
}

const pathRule = 'must start with "/"'

const isPath = (given: unknown): given is Path => typeof given === "string" && given.startsWith("/")

/** The settings of a server's options. */
export const fields = (path: Path, pathMeaning: string, port: number) => ({
  port: Settings.or(
    Settings.number(
      { meaning: "0 lets the system choose" },
      (given) => Number.isInteger(given) && given >= 0 && given <= 65_535,
      "must be a whole number from 0 to 65535"
    ),
    port
  ),
  path: Settings.or(
    Settings.make<Path>(
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
  readonly path: Path
}

const listenError = (host: string, port: number, cause: unknown): ServerErrorFields => {
  const inUse = typeof cause === "object" && cause !== null && "code" in cause && cause.code === "EADDRINUSE"
  return { reason: inUse ? "AddressInUse" : "ListenFailed", description: `can't listen on ${host}:${port}`, cause }
}

const listen = (server: Http.Server, host: string, port: number): Effect.Effect<number, ServerErrorFields> =>
  Effect.async((resume) => {
    const fail = (cause: unknown): void => resume(Effect.fail(listenError(host, port, cause)))
    server.once("error", fail)
    server.listen({ host, port }, () => {
      server.off("error", fail)
      const address = server.address()
      resume(Effect.succeed(address === null || typeof address === "string" ? port : address.port))
    })
    return Effect.sync(() => server.close())
  })

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

const withoutEnd = (path: string): string => path.replace(/(?<=.)\/+$/, "")

/** The path of a request's target, without a query and slashes at its end. */
const pathOf = (target: string): string => withoutEnd(target.split(/[?#]/, 1)[0]!)

const notFound: Reply = { status: 404, headers: {}, body: "" }

const internalError: Reply = { status: 500, headers: {}, body: "" }

const send = (response: Http.ServerResponse, { body, headers, status }: Reply): void => {
  response.writeHead(status, { ...headers, "content-length": Buffer.byteLength(body) })
  response.end(response.req.method === "HEAD" ? undefined : body)
}

/** Serves the routes until the scope closes; all other paths, and methods but GET and HEAD, return 404. */
export const serve = Effect.fnUntraced(function* (
  { host, path, port }: { readonly host: string; readonly port: number; readonly path: Path },
  routes: Routes
): Effect.fn.Return<Listening, ServerErrorFields, Scope.Scope> {
  const replies = new Map(Object.entries(routes).map(([path, reply]) => [withoutEnd(path), reply]))
  const run = yield* FiberSet.makeRuntime<never>()
  const server = Http.createServer((request, response) => {
    const isRead = request.method === "GET" || request.method === "HEAD"
    const reply = isRead ? replies.get(pathOf(request.url ?? "")) : undefined
    if (reply === undefined) return send(response, notFound)
    run(
      Effect.matchCause(reply, {
        onFailure: () => send(response, internalError),
        onSuccess: (reply) => send(response, reply)
      })
    )
  })
  yield* Effect.addFinalizer(() => shutdown(server))
  return { host, port: yield* listen(server, host, port), path }
})
