/**
 * Clients and their connections to the nodes of a cluster in memory. Each connection answers its requests one after the other, as a
 * socket of a real broker does: what is sent behind a parked request waits.
 */
import type { Api, BrokerEndpoint, Request, Response } from "@spillway/kafka/Protocol"
import { type Connection, type Endpoint, Wire, WireError } from "@spillway/kafka/Wire"
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"

/** Carries out one request as a node; interrupted when its connection ends while it is parked. */
export type Serve = <A extends Api>(
  nodeId: number,
  clientId: string,
  api: A,
  request: Request<A>
) => Effect.Effect<Response<A>>

export interface Client {
  readonly wire: Context.Tag.Service<Wire>
  readonly cut: Effect.Effect<void>
  readonly restore: Effect.Effect<void>
}

export interface Connections {
  readonly client: (clientId: string) => Client
  /** Ends every connection to these nodes and refuses new ones until `start`. */
  readonly stop: (nodeIds: ReadonlyArray<number>) => Effect.Effect<void>
  readonly start: (nodeIds: ReadonlyArray<number>) => Effect.Effect<void>
}

interface Open {
  readonly nodeId: number
  readonly connection: Connection
  readonly close: (description: string) => Effect.Effect<void>
}

interface Sent {
  readonly serve: Effect.Effect<void>
  readonly fail: (description: string) => void
}

export interface Options {
  readonly nodes: ReadonlyArray<BrokerEndpoint>
  readonly serve: Serve
  /** The cluster's: what it does for a client goes on when the client's fibres don't. */
  readonly runtime: Runtime.Runtime<never>
}

export const make = ({ nodes, runtime, serve }: Options): Connections => {
  const fork = Runtime.runFork(runtime)
  const everyone = new Set<Open>()
  const stopped = new Set<number>()

  const error = (to: Endpoint, reason: "ConnectFailed" | "Disconnected", description: string, api?: Api) =>
    new WireError({ reason, endpoint: `${to.host}:${to.port}`, api, description })

  const open = (node: BrokerEndpoint, clientId: string, siblings: Set<Open>) =>
    Effect.gen(function* () {
      const closed = yield* Deferred.make<WireError>()
      /** In the order they were sent; the first is being served. */
      const unanswered = new Set<Sent>()
      let ended: string | undefined
      let serving: Fiber.RuntimeFiber<void> | undefined

      const serveAll = Effect.gen(function* () {
        for (const sent of unanswered) yield* sent.serve
        serving = undefined
      })

      const close = (description: string): Effect.Effect<void> =>
        Effect.suspend(() => {
          if (ended !== undefined) return Effect.void
          ended = description
          siblings.delete(opened)
          everyone.delete(opened)
          for (const sent of unanswered) sent.fail(description)
          Deferred.unsafeDone(closed, Effect.succeed(error(node, "Disconnected", description)))
          serving?.unsafeInterruptAsFork(FiberId.none)
          return Effect.void
        })

      const request = <A extends Api>(api: A, request: Request<A>): Effect.Effect<Response<A>, WireError> =>
        Effect.async((resume) => {
          if (ended !== undefined) return resume(Effect.fail(error(node, "Disconnected", ended, api)))
          const sent: Sent = {
            serve: Effect.suspend(() =>
              ended !== undefined
                ? Effect.void
                : Effect.map(Effect.exit(serve(node.nodeId, clientId, api, request)), (exit) => {
                    unanswered.delete(sent)
                    resume(exit)
                  })
            ),
            fail: (description) => resume(Effect.fail(error(node, "Disconnected", description, api)))
          }
          unanswered.add(sent)
          serving ??= fork(serveAll, { immediate: false })
        })

      const opened: Open = { nodeId: node.nodeId, connection: { request, closed: Deferred.await(closed) }, close }
      siblings.add(opened)
      everyone.add(opened)
      return opened
    })

  const closeAll = (connections: Iterable<Open>, description: string) =>
    Effect.suspend(() => Effect.forEach([...connections], ({ close }) => close(description), { discard: true }))

  const client = (clientId: string): Client => {
    const connections = new Set<Open>()
    let isCut = false

    const connect = (to: Endpoint): Effect.Effect<Connection, WireError, Scope.Scope> =>
      Effect.map(
        Effect.acquireRelease(
          Effect.suspend(() => {
            const refuse = (description: string) => Effect.fail(error(to, "ConnectFailed", description))
            const node = nodes.find(({ host, port }) => host === to.host && port === to.port)
            if (node === undefined) return refuse(`nobody listens on ${to.host}:${to.port}`)
            if (stopped.has(node.nodeId)) return refuse("the broker is stopped")
            return isCut ? refuse("the client is cut off") : open(node, clientId, connections)
          }),
          ({ close }) => close("the client closed the connection")
        ),
        ({ connection }) => connection
      )

    return {
      wire: Wire.of({ bootstrap: nodes, connect }),
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
    stop: (nodeIds) =>
      Effect.suspend(() => {
        for (const nodeId of nodeIds) stopped.add(nodeId)
        return closeAll(
          Array.from(everyone).filter(({ nodeId }) => nodeIds.includes(nodeId)),
          "the broker stopped"
        )
      }),
    start: (nodeIds) =>
      Effect.sync(() => {
        for (const nodeId of nodeIds) stopped.delete(nodeId)
      })
  }
}
