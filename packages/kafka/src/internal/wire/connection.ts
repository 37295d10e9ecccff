import { messageOf } from "@spillway/transport/HandlerError"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { nameOf } from "../../KafkaErrorCode.js"
import type { Api, Request } from "../../Protocol.js"
import { type Connection, type Endpoint, WireError } from "../../Wire.js"
import type { WireOptions } from "../settings/connectionSettings.js"
import { formatEndpoint } from "../settings/endpoint.js"
import { apis } from "./apis.js"
import * as ApiVersions from "./apiVersions.js"
import { authenticate } from "./authenticate.js"
import { type Link, openLink } from "./socket.js"
import * as Versions from "./versions.js"

/** Refuses an invalid port here: Node's socket would throw and leak its handle. */
const open = (endpoint: Endpoint, options: WireOptions): Effect.Effect<Link, WireError> =>
  Effect.try({
    try: () => {
      if (!(endpoint.port >= 0 && endpoint.port < 65_536)) throw new RangeError(`invalid port ${endpoint.port}`)
      return openLink(endpoint, options)
    },
    catch: (cause) =>
      new WireError({
        reason: "ConnectFailed",
        endpoint: formatEndpoint(endpoint),
        description: messageOf(cause),
        cause
      })
  })

/** The versions that the broker supports, and for how many milliseconds it accepts requests. */
interface Session {
  readonly ranges: ReadonlyMap<number, Versions.VersionRange>
  /** 0: unlimited. */
  readonly lifetimeMs: number
}

const negotiate = Effect.fnUntraced(function* (
  link: Link,
  endpoint: Endpoint,
  options: WireOptions
): Effect.fn.Return<Session, WireError> {
  const { errorCode, ranges } = yield* link.send(ApiVersions.call(options.connectTimeoutMs))
  if (errorCode !== 0) {
    return yield* new WireError({
      reason: "ConnectFailed",
      endpoint: formatEndpoint(endpoint),
      description: `ApiVersions was answered with ${nameOf(errorCode)}`
    })
  }
  const lifetimeMs = options.sasl === undefined ? 0 : yield* authenticate(link, endpoint, options, options.sasl, ranges)
  return { ranges, lifetimeMs }
})

/** A handshake that fails leaves nothing in doubt. */
const duringHandshake = (error: WireError): WireError =>
  error.reason === "Disconnected" ? new WireError({ ...error, reason: "ConnectFailed", cause: error.cause }) : error

/**
 * When to retire a connection, given its SASL session's lifetime. A request after the session's end closes the
 * connection; a response doesn't. The margin covers requests that are sent while a long poll is pending.
 */
const retireAfterMs = (lifetimeMs: number): number => lifetimeMs * 0.8

/** Opens a connection and does the handshakes. */
export const connect = (endpoint: Endpoint, options: WireOptions): Effect.Effect<Connection, WireError, Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const link = yield* open(endpoint, options)
      const destroy = Effect.sync(() => link.destroy("closed by the client"))
      const { lifetimeMs, ranges } = yield* restore(negotiate(link, endpoint, options)).pipe(
        Effect.mapError((error) => duringHandshake(error.reason === "Disconnected" ? (link.ended() ?? error) : error)),
        Effect.onError(() => destroy)
      )
      link.ready()
      if (lifetimeMs > 0) link.retire(retireAfterMs(lifetimeMs))
      yield* Effect.addFinalizer(() => destroy)
      return makeConnection(link, endpoint, options, ranges)
    })
  )

const makeConnection = (
  link: Link,
  endpoint: Endpoint,
  { requestTimeoutMs }: WireOptions,
  ranges: ReadonlyMap<number, Versions.VersionRange>
): Connection => {
  const unsupported = (api: Api, ours: Versions.VersionRange) => {
    const brokers = ranges.get(apis[api].key)
    return new WireError({
      reason: "UnsupportedVersion",
      endpoint: formatEndpoint(endpoint),
      api,
      description: `Spillway supports versions ${Versions.describe(ours)}, the broker ${Versions.describe(brokers)}`
    })
  }
  return {
    closed: link.closed,
    request: <A extends Api>(api: A, request: Request<A>, limitMs?: number) => {
      const { key, versions, encode, decode, newest, oldest, waitMs, unanswered } = apis[api]
      const ours = { min: Math.max(versions.min, oldest(request)), max: Math.min(versions.max, newest(request)) }
      const version = Versions.choose(ours, ranges.get(key))
      if (version === undefined) return Effect.fail(unsupported(api, ours))
      return Effect.suspend(() =>
        link.send({
          api,
          key,
          version,
          waitMs: waitMs(request, requestTimeoutMs),
          limitMs,
          encode: (out) => encode(out, request, version),
          decode: (reader) => decode(reader, version, request),
          unanswered: unanswered(request)
        })
      )
    }
  }
}
