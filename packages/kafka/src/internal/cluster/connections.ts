/**
 * One connection per broker and role, opened when it is first needed and checked before it is used.
 */
import * as Completion from "@spillway/transport/runtime/Completion"
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import type * as Scope from "effect/Scope"
import type { Api, Request, Response } from "../../Protocol.js"
import { type Connection, type Endpoint, type Role, type Wire, WireError } from "../../Wire.js"
import * as Reachability from "./reachability.js"

export interface Connections {
  readonly send: <A extends Api>(
    endpoint: Endpoint,
    role: Role,
    api: A,
    request: Request<A>,
    limitMs?: number | undefined
  ) => Effect.Effect<Response<A>, WireError>
  /**
   * Closes every connection, or those of one role. Requests that are pending on them or wait for them fail with
   * `Disconnected`.
   */
  readonly close: (description: string, role?: Role | undefined) => void
  /** Whether any broker has ever answered. */
  readonly hasAnswered: () => boolean
  /** Whether the last attempt to reach a broker, `host:port`, failed. */
  readonly isUnreachable: (broker: string) => boolean
  /** Forgets the reachability of brokers that aren't among these, `host:port`. */
  readonly retain: (brokers: ReadonlyArray<string>) => void
}

export const addressOf = ({ host, port }: Endpoint): string => `${host}:${port}`

export const disconnected = (endpoint: Endpoint, description: string): WireError =>
  new WireError({ reason: "Disconnected", endpoint: addressOf(endpoint), description })

interface Opened {
  readonly connection: Completion.Result<Connection, WireError>
  readonly endpoint: Endpoint
  readonly role: Role
  /** Undefined until the connecting fiber starts. */
  fiber: Fiber.RuntimeFiber<void> | undefined
}

export const make = Effect.fnUntraced(function* (options: {
  readonly wire: Context.Tag.Service<Wire>
  /** Fails if the connection must not be used; true if the broker has answered on it. */
  readonly check: (endpoint: Endpoint, role: Role, connection: Connection) => Effect.Effect<boolean, WireError>
}): Effect.fn.Return<Connections, never, Scope.Scope> {
  const { check, wire } = options
  const scope = yield* Effect.scope
  const connections = new Map<string, Opened>()
  const reachability = yield* Reachability.make
  let hasAnswered = false
  /** The connections that have answered a request. */
  const answered = new WeakSet<Connection>()

  const logAnswered = (endpoint: Endpoint, connection: Connection) =>
    Effect.suspend(() => {
      answered.add(connection)
      hasAnswered = true
      return reachability.answered(addressOf(endpoint))
    })

  const open = (key: string, opened: Opened) =>
    Effect.gen(function* () {
      const { endpoint, role } = opened
      opened.fiber = yield* Effect.withFiberRuntime<Fiber.RuntimeFiber<void>>((fiber) =>
        Effect.succeed(fiber as Fiber.RuntimeFiber<void>)
      )
      const isCurrent = () => connections.get(key) === opened
      if (!isCurrent()) return
      const checked = Effect.tap(wire.connect(endpoint, role), (connection) =>
        Effect.flatMap(check(endpoint, role, connection), (hasAnswered) =>
          hasAnswered ? logAnswered(endpoint, connection) : Effect.void
        )
      )
      const exit = yield* Effect.exit(checked)
      if (Exit.isSuccess(exit)) {
        opened.connection.done(exit)
        const end = yield* exit.value.closed
        // A broker that requires SASL accepts connections without it, and closes them at the first request.
        if (!answered.has(exit.value)) yield* reachability.failed(addressOf(endpoint), Cause.fail(end))
      } else if (isCurrent()) {
        yield* reachability.failed(addressOf(endpoint), exit.cause)
      }
      if (isCurrent()) connections.delete(key)
      opened.connection.done(exit)
    }).pipe(Effect.scoped)

  const connect = (endpoint: Endpoint, role: Role): Effect.Effect<Connection, WireError> =>
    Effect.suspend(() => {
      const key = `${addressOf(endpoint)}/${role}`
      const known = connections.get(key)
      if (known !== undefined) return known.connection.wait
      const opened: Opened = {
        connection: Completion.make<Connection, WireError>(),
        endpoint,
        role,
        fiber: undefined
      }
      const { connection } = opened
      connections.set(key, opened)
      // Opened in a scope of its own: interrupting one caller leaves the connection to the others.
      return Effect.flatMap(Effect.forkIn(Effect.interruptible(open(key, opened)), scope), (fiber) => {
        // If it is interrupted, perhaps before it started, the waiting callers are notified.
        fiber.addObserver(() => connection.done(Effect.suspend(() => disconnected(endpoint, "the client was closed"))))
        return connection.wait
      })
    })

  return {
    send: (endpoint, role, api, request, limitMs) =>
      Effect.flatMap(connect(endpoint, role), (connection) => {
        const response = connection.request(api, request, limitMs)
        return answered.has(connection) ? response : Effect.zipLeft(response, logAnswered(endpoint, connection))
      }),
    close: (description, role) => {
      for (const [key, opened] of [...connections]) {
        if (role !== undefined && opened.role !== role) continue
        connections.delete(key)
        const { connection, endpoint, fiber } = opened
        connection.done(Effect.suspend(() => disconnected(endpoint, description)))
        fiber?.unsafeInterruptAsFork(FiberId.none)
      }
    },
    hasAnswered: () => hasAnswered,
    isUnreachable: reachability.isUnreachable,
    retain: reachability.retain
  }
})
