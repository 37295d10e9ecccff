import { connect, createServer, type Socket } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Proxy from "../../chaos/proxy.js"

/** A server that sends back what it gets, a proxy in front of it, and a client that is connected through it. */
const setUp = Effect.gen(function* () {
  const served: Array<Socket> = []
  const server = createServer((socket) => {
    served.push(socket)
    socket.on("error", () => {})
    socket.pipe(socket)
  })
  yield* Effect.acquireRelease(
    Effect.async<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
    () =>
      Effect.sync(() => {
        server.close()
        for (const socket of served) socket.destroy()
      })
  )
  const proxy = yield* Proxy.make(`127.0.0.1:${(server.address() as { port: number }).port}`)
  const client = connect({ host: "127.0.0.1", port: Number(proxy.address.split(":")[1]) })
  client.on("error", () => {})
  const received: Array<string> = []
  client.on("data", (chunk) => received.push(String(chunk)))
  const event = (name: string, of: Socket = client) =>
    Effect.async<void>((resume) => void of.once(name, () => resume(Effect.void)))
  const say = (text: string) => Effect.sync(() => client.write(text))
  /** Ends when the server has answered a client that came later, and directly. */
  const later = Effect.async<void>((resume) => {
    const direct = connect({ host: "127.0.0.1", port: (server.address() as { port: number }).port })
    direct.once("data", () => {
      direct.destroy()
      resume(Effect.void)
    })
    direct.write("later")
  })
  yield* say("hello")
  yield* event("data")
  assert.deepStrictEqual(received, ["hello"])
  return { proxy, client, received, event, say, served, later }
})

describe("The proxy of a chaos run", () => {
  it.scopedLive("cuts connections", () =>
    Effect.gen(function* () {
      const { event, proxy } = yield* setUp
      yield* Effect.zipRight(proxy.cut, event("close"))
    })
  )

  it.scopedLive("holds back what is sent while it stalls", () =>
    Effect.gen(function* () {
      const { event, later, proxy, received, say } = yield* setUp
      yield* proxy.stall
      yield* Effect.zipRight(say("held"), later)
      assert.deepStrictEqual(received, ["hello"])
      yield* Effect.zipRight(proxy.flow, event("data"))
      assert.deepStrictEqual(received, ["hello", "held"])
    })
  )

  it.scopedLive("leaves the client of a half-open connection in the dark", () =>
    Effect.gen(function* () {
      const { client, event, later, proxy, received, say, served } = yield* setUp
      yield* Effect.zipRight(proxy.halfOpen, event("close", served[0]!))
      yield* Effect.zipRight(say("anyone?"), later)
      assert.deepStrictEqual(received, ["hello"])
      assert.isFalse(client.destroyed)
      assert.isTrue(client.writable)
    })
  )
})
