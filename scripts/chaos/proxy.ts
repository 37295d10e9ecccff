/**
 * A TCP proxy in front of one broker's listener, whose connections can be cut, stalled and left half open.
 */
import { connect, createServer, type Socket } from "node:net"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

export interface Proxy {
  /** `127.0.0.1:port`. */
  readonly address: string
  /** Resets every connection. */
  readonly cut: Effect.Effect<void>
  /** From now on new connections lead to another `host:port`. */
  readonly leadTo: (target: string) => Effect.Effect<void>
  /** From now on nothing passes, in neither direction; new connections are accepted and wait. */
  readonly stall: Effect.Effect<void>
  /** What was held back passes again. */
  readonly flow: Effect.Effect<void>
  /** Ends the broker's side of every connection and lets clients know nothing of it: they are never answered again. */
  readonly halfOpen: Effect.Effect<void>
}

interface Pair {
  readonly client: Socket
  readonly broker: Socket
}

const splice = ({ broker, client }: Pair): void => {
  client.pipe(broker)
  broker.pipe(client)
}

const unsplice = ({ broker, client }: Pair): void => {
  client.unpipe(broker)
  broker.unpipe(client)
}

/** A proxy to `host:port` on a free port, with its connections closed with the scope. */
export const make = (target: string): Effect.Effect<Proxy, never, Scope.Scope> =>
  Effect.gen(function* () {
    let [host = "", port = ""] = target.split(":")
    const pairs = new Set<Pair>()
    /** Clients whose broker's side is gone. */
    const orphans = new Set<Socket>()
    let isStalled = false

    const onConnection = (client: Socket) => {
      const broker = connect({ host, port: Number(port), noDelay: true })
      const pair: Pair = { client, broker }
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
      halfOpen: each((pair) => {
        pairs.delete(pair)
        orphans.add(pair.client)
        unsplice(pair)
        pair.broker.destroy()
        // What the client still sends goes nowhere.
        pair.client.resume()
      })
    }
  })
