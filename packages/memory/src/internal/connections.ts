/**
 * Clients and their connections to the nodes of a cluster in memory. Each connection answers its requests one after the
 * other, as a real broker's socket does: requests behind a parked request wait.
 */
import type { Api, BrokerEndpoint, Request, Response } from "@spillway/kafka/Protocol"
import { type Connection, type Endpoint, Wire, WireError } from "@spillway/kafka/Wire"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import type * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"
import * as Ending from "./ending.js"
import type { Standstill } from "./testClock.js"
import type { Timers } from "./timers.js"

/** A request that its node may answer later, through the callback. Returns how to stop waiting for the answer. */
export type Parked<A> = (respond: (response: A) => void) => () => void

export type Answer<A> = A | Parked<A>

/** Handles one request on a node. */
export type Serve = <A extends Api>(
  nodeId: number,
  clientId: string,
  api: A,
  request: Request<A>
) => Answer<Response<A>>

export interface Client {
  readonly wire: Context.Tag.Service<Wire>
  readonly cut: () => void
  readonly restore: () => void
}

export interface Connections {
  readonly client: (clientId: string) => Client
  /** Ends every connection to these nodes and refuses new ones until `start`. */
  readonly stop: (nodeIds: ReadonlyArray<number>) => void
  readonly start: (nodeIds: ReadonlyArray<number>) => void
}

interface Open {
  readonly nodeId: number
  readonly connection: Connection
  readonly close: (description: string) => void
}

interface Sent {
  /** Passes the request to the node and calls back with the answer. Returns how to abandon a parked request. */
  readonly serve: (answered: () => void) => (() => void) | undefined
  readonly fail: (description: string, reason?: "Disconnected" | "Timeout") => void
}

export interface Options {
  readonly timers: Timers
  readonly nodes: ReadonlyArray<BrokerEndpoint>
  readonly serve: Serve
  readonly standstill: Standstill
  /** The cluster's scope: work that it does for a client continues when the client's fibers end. */
  readonly runtime: Runtime.Runtime<never>
}

export const make = ({ nodes, runtime, serve, standstill, timers }: Options): Connections => {
  const scheduler = FiberRefs.getOrDefault(runtime.fiberRefs, FiberRef.currentScheduler)
  const everyone = new Set<Open>()
  const stopped = new Set<number>()

  const error = (to: Endpoint, reason: "ConnectFailed" | "Disconnected" | "Timeout", description: string, api?: Api) =>
    new WireError({ reason, endpoint: `${to.host}:${to.port}`, api, description })

  const open = (node: BrokerEndpoint, clientId: string, siblings: Set<Open>): Open => {
    const ending = Ending.make()
    /** In the order they were sent. The first is being handled, or will be in the next task. */
    const unanswered: Array<Sent> = []
    let ended: string | undefined
    let giveUp: (() => void) | undefined

    const serveLater = () => scheduler.scheduleTask(serveFirst, 0)

    const serveFirst = () => {
      giveUp = unanswered[0]?.serve(() => {
        giveUp = undefined
        unanswered.shift()
        if (unanswered.length > 0) serveLater()
      })
    }

    /** Ends the connection because its client stopped waiting for a request. */
    const expire = (sent: Sent, limitMs: number): void => {
      if (unanswered[0] !== sent) return
      unanswered.shift()
      sent.fail(`no response within ${limitMs} ms`, "Timeout")
      close("the client closed the connection")
    }

    const close = (description: string): void => {
      if (ended !== undefined) return
      ended = description
      siblings.delete(opened)
      everyone.delete(opened)
      giveUp?.()
      for (const sent of unanswered.splice(0)) sent.fail(description)
      ending.end(error(node, "Disconnected", description))
    }

    const request = <A extends Api>(
      api: A,
      request: Request<A>,
      limitMs = Number.POSITIVE_INFINITY
    ): Effect.Effect<Response<A>, WireError> =>
      Effect.async((resume) => {
        const fail: Sent["fail"] = (description, reason = "Disconnected") =>
          resume(Effect.fail(error(node, reason, description, api)))
        if (ended !== undefined) return fail(ended)
        const answer = (effect: Effect.Effect<Response<A>>, answered: () => void) => {
          answered()
          resume(effect)
        }
        const sent: Sent = {
          fail,
          serve: (answered) => {
            try {
              standstill.asked()
              const response = serve(node.nodeId, clientId, api, request)
              if (typeof response === "function") {
                const isOver = api === "JoinGroup" || api === "SyncGroup" ? standstill.waiting() : () => {}
                const isLimited = limitMs < Number.POSITIVE_INFINITY
                const cancel = isLimited ? timers.after(limitMs, () => expire(sent, limitMs)) : () => {}
                const giveUp = response((later) => {
                  cancel()
                  isOver()
                  answer(Effect.succeed(later), answered)
                })
                return () => {
                  cancel()
                  isOver()
                  giveUp()
                }
              }
              answer(Effect.succeed(response), answered)
            } catch (defect) {
              answer(Effect.die(defect), answered)
            }
            return undefined
          }
        }
        unanswered.push(sent)
        if (unanswered.length === 1) serveLater()
      })

    const opened: Open = { nodeId: node.nodeId, connection: { request, closed: ending.closed }, close }
    siblings.add(opened)
    everyone.add(opened)
    return opened
  }

  const client = (clientId: string): Client => {
    const connections = new Set<Open>()
    let isCut = false

    const connect = (to: Endpoint): Effect.Effect<Connection, WireError, Scope.Scope> =>
      Effect.flatMap(Effect.scope, (scope) => {
        const refuse = (description: string) => Effect.fail(error(to, "ConnectFailed", description))
        const node = nodes.find(({ host, port }) => host === to.host && port === to.port)
        if (node === undefined) return refuse(`no broker listens on ${to.host}:${to.port}`)
        if (stopped.has(node.nodeId)) return refuse("the broker is stopped")
        if (isCut) return refuse("the client is cut off")
        const { close, connection } = open(node, clientId, connections)
        const release = Effect.sync(() => close("the client closed the connection"))
        return Effect.as(Scope.addFinalizer(scope, release), connection)
      }).pipe(Effect.uninterruptible)

    return {
      wire: Wire.of({ bootstrap: nodes, connect }),
      cut: () => {
        isCut = true
        for (const { close } of [...connections]) close("the client was cut off")
      },
      restore: () => {
        isCut = false
      }
    }
  }

  return {
    client,
    stop: (nodeIds) => {
      for (const nodeId of nodeIds) stopped.add(nodeId)
      for (const { close, nodeId } of [...everyone]) if (nodeIds.includes(nodeId)) close("the broker stopped")
    },
    start: (nodeIds) => {
      for (const nodeId of nodeIds) stopped.delete(nodeId)
    }
  }
}
