/**
 * A TCP proxy in front of one broker's listener. Its connections can be cut, stalled and left half open.
 */
import { connect, createServer, type Socket } from "node:net"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

export interface Proxy {
  /** `127.0.0.1:port`. */
  readonly address: string
  /** Resets every connection. */
  readonly cut: Effect.Effect<void>
  /** Connects new connections to another `host:port`. */
  readonly leadTo: (target: string) => Effect.Effect<void>
  /** Stops traffic in both directions. New connections are accepted and wait. */
  readonly stall: Effect.Effect<void>
  /** Delivers the data that was held back and lets traffic pass again. */
  readonly flow: Effect.Effect<void>
  /** Ends the broker's side of every connection without closing the client's, which is never answered again. */
  readonly halfOpen: Effect.Effect<void>
  /**
   * The same for connections that have carried a JoinGroup or a SyncGroup and, for `milliseconds`, for those that carry
   * one next: the request is lost, or the broker carries it out and its answer is lost.
   */
  readonly halfOpenJoins: (lost: "request" | "answer", milliseconds: number) => Effect.Effect<void>
  /** The number of joins that lost their connection while they were pending. */
  readonly lostJoins: () => number
}

interface Pair {
  readonly client: Socket
  readonly broker: Socket
  /** Sees the client's data before the broker gets it. */
  readonly look: (chunk: Buffer) => void
  /** Whether the request joins or syncs a group. */
  joins: boolean
}

const splice = ({ broker, client, look }: Pair): void => {
  client.on("data", look)
  client.pipe(broker)
  broker.pipe(client)
}

const unsplice = ({ broker, client, look }: Pair): void => {
  client.off("data", look)
  client.unpipe(broker)
  broker.unpipe(client)
}

const joinGroup = 11
const syncGroup = 14

/** Calls back with the api key of each request in a stream of frames. */
export const apiKeys = (onKey: (key: number) => void): ((chunk: Buffer) => void) => {
  const head = Buffer.alloc(6)
  let read = 0
  /** Bytes of the current request that are still missing after its head. */
  let left = 0
  return (chunk) => {
    for (let at = 0; at < chunk.length; ) {
      if (left > 0) {
        const skipped = Math.min(left, chunk.length - at)
        left -= skipped
        at += skipped
        continue
      }
      head[read++] = chunk[at++]!
      if (read < head.length) continue
      read = 0
      left = head.readInt32BE(0) - 2
      onKey(head.readInt16BE(4))
    }
  }
}

/** A proxy to `host:port` on a free port. Its connections close with the scope. */
export const make = (target: string): Effect.Effect<Proxy, never, Scope.Scope> =>
  Effect.gen(function* () {
    let [host = "", port = ""] = target.split(":")
    const pairs = new Set<Pair>()
    /** Clients whose broker's side has closed. */
    const orphans = new Set<Socket>()
    let isStalled = false
    /** The part of joins that is lost, and until when. */
    let losing: { readonly lost: "request" | "answer"; readonly until: number } | undefined
    let lostJoins = 0

    const orphan = (pair: Pair, lost: "request" | "answer"): void => {
      if (!pairs.delete(pair)) return
      orphans.add(pair.client)
      if (lost === "request") {
        unsplice(pair)
        pair.broker.destroy()
        // Data that the client still sends is dropped.
        pair.client.resume()
        return
      }
      pair.broker.unpipe(pair.client)
      pair.broker.resume()
      pair.client.on("close", () => pair.broker.destroy())
    }

    const onConnection = (client: Socket) => {
      const broker = connect({ host, port: Number(port), noDelay: true })
      const onKey = (key: number) => {
        if (key !== joinGroup && key !== syncGroup) return
        pair.joins = true
        if (losing === undefined || Date.now() >= losing.until) return
        lostJoins++
        orphan(pair, losing.lost)
      }
      const pair: Pair = { client, broker, look: apiKeys(onKey), joins: false }
      pairs.add(pair)
      client.setNoDelay(true)
      for (const [one, other] of [
        [client, broker],
        [broker, client]
      ] as const) {
        one.on("error", () => {})
        one.on("close", () => {
          orphans.delete(one)
          if (pairs.delete(pair)) other.destroy()
        })
      }
      if (!isStalled) splice(pair)
    }

    const server = createServer({ pauseOnConnect: true }, onConnection)
    yield* Effect.acquireRelease(
      Effect.async<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
      () =>
        Effect.async<void>((resume) => {
          server.close(() => resume(Effect.void))
          for (const { client } of pairs) client.destroy()
          for (const client of orphans) client.destroy()
        })
    )
    const address = server.address()
    if (address === null || typeof address === "string") throw new Error("the proxy has no port")

    const each = (change: (pair: Pair) => void) =>
      Effect.sync(() => {
        for (const pair of [...pairs]) change(pair)
      })

    return {
      address: `127.0.0.1:${address.port}`,
      cut: each(({ client }) => client.resetAndDestroy()),
      leadTo: (target) =>
        Effect.sync(() => {
          ;[host = "", port = ""] = target.split(":")
        }),
      stall: Effect.suspend(() => {
        isStalled = true
        return each(unsplice)
      }),
      flow: Effect.suspend(() => {
        isStalled = false
        return each(splice)
      }),
      lostJoins: () => lostJoins,
      halfOpen: each((pair) => orphan(pair, "request")),
      halfOpenJoins: (lost, milliseconds) =>
        Effect.suspend(() => {
          losing = { lost, until: Date.now() + milliseconds }
          return each((pair) => {
            if (pair.joins) orphan(pair, "request")
          })
        })
    }
  })
