/**
 * Clients and their connections to a broker in memory. Each connection answers its requests one after the other, as a
 * socket of a real broker does: what is sent behind a parked request waits.
 */
import type { Api, Request, Response } from "@spillway/kafka/Protocol"
import { type Connection, type Endpoint, Wire, WireError } from "@spillway/kafka/Wire"
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"

/** Carries out one request as the broker; interrupted when its connection ends while it is parked. */
export type Serve = <A extends Api>(clientId: string, api: A, request: Request<A>) => Effect.Effect<Response<A>>

export interface Client {
  readonly wire: Context.Tag.Service<Wire>
  readonly cut: Effect.Effect<void>
  readonly restore: Effect.Effect<void>
}

export interface Connections {
  readonly client: (clientId: string) => Client
  /** Ends every connection and refuses new ones until `start`. */
  readonly stop: Effect.Effect<void>
  readonly start: Effect.Effect<void>
}

interface Open {
  readonly connection: Connection
  readonly close: (description: string) => Effect.Effect<void>
}

interface Sent {
  readonly serve: Effect.Effect<void>
  readonly fail: (description: string) => void
}

export const make = (endpoint: Endpoint, serve: Serve, scope: Scope.Scope): Connections => {
  const address = `${endpoint.host}:${endpoint.port}`
  const everyone = new Set<Open>()
  let isRunning = true

  const error = (reason: "ConnectFailed" | "Disconnected", description: string, api?: Api) =>
    new WireError({ reason, endpoint: address, api, description })

  const open = (clientId: string, siblings: Set<Open>) =>
    Effect.gen(function* () {
      const closed = yield* Deferred.make<WireError>()
      const queue = yield* Queue.unbounded<Sent>()
      const unanswered = new Set<Sent>()
      let ended: string | undefined

      const worker = yield* Effect.forkIn(
        Effect.interruptible(Effect.forever(Effect.flatMap(Queue.take(queue), (sent) => sent.serve))).pipe(
          Effect.ensuring(Effect.suspend(() => close("the broker has gone")))
        ),
        scope
      )

      const close = (description: string): Effect.Effect<void> =>
        Effect.suspend(() => {
          if (ended !== undefined) return Effect.void
          ended = description
          siblings.delete(opened)
          everyone.delete(opened)
          for (const sent of unanswered) sent.fail(description)
          Deferred.unsafeDone(closed, Effect.succeed(error("Disconnected", description)))
          return Fiber.interruptFork(worker)
        })

      const request = <A extends Api>(api: A, request: Request<A>): Effect.Effect<Response<A>, WireError> =>
        Effect.suspend(() => {
          if (ended !== undefined) return Effect.fail(error("Disconnected", ended, api))
          const response = Deferred.unsafeMake<Response<A>, WireError>(FiberId.none)
          const sent: Sent = {
            serve: Effect.suspend(() =>
              ended !== undefined
                ? Effect.void
                : Effect.flatMap(Effect.exit(serve(clientId, api, request)), (exit) => {
                    unanswered.delete(sent)
                    return Deferred.done(response, exit)
                  })
            ),
            fail: (description) => Deferred.unsafeDone(response, Effect.fail(error("Disconnected", description, api)))
          }
          unanswered.add(sent)
          queue.unsafeOffer(sent)
          return Deferred.await(response)
        })

      const opened: Open = { connection: { request, closed: Deferred.await(closed) }, close }
      siblings.add(opened)
      everyone.add(opened)
      return opened
    })

  const closeAll = (connections: Set<Open>, description: string) =>
    Effect.suspend(() => Effect.forEach([...connections], ({ close }) => close(description), { discard: true }))

  const client = (clientId: string): Client => {
    const connections = new Set<Open>()
    let isCut = false

    const refusal = (to: Endpoint): string | undefined => {
      if (to.host !== endpoint.host || to.port !== endpoint.port) return `nobody listens on ${to.host}:${to.port}`
      if (!isRunning) return "the broker is stopped"
      return isCut ? "the client is cut off" : undefined
    }

    const connect = (to: Endpoint): Effect.Effect<Connection, WireError, Scope.Scope> =>
      Effect.map(
        Effect.acquireRelease(
          Effect.suspend(() => {
            const refused = refusal(to)
            return refused === undefined ? open(clientId, connections) : Effect.fail(error("ConnectFailed", refused))
          }),
          ({ close }) => close("the client closed the connection")
        ),
        ({ connection }) => connection
      )

    return {
      wire: Wire.of({ bootstrap: [endpoint], connect }),
      cut: Effect.suspend(() => {
        isCut = true
        return closeAll(connections, "the client was cut off")
      }),
      restore: Effect.sync(() => {
        isCut = false
      })
    }
  }

  return {
    client,
    stop: Effect.suspend(() => {
      isRunning = false
      return closeAll(everyone, "the broker stopped")
    }),
    start: Effect.sync(() => {
      isRunning = true
    })
  }
}
