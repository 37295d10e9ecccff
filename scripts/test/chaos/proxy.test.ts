import { connect, createServer, type Socket } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Proxy from "../../chaos/proxy.js"

/** A server that echoes its input, a proxy in front of it, and a client that is connected through it. */
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
  /** Ends when the server has answered a later client that connects directly. */
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

  it.scopedLive("holds back data while it stalls", () =>
    Effect.gen(function* () {
      const { event, later, proxy, received, say } = yield* setUp
      yield* proxy.stall
      yield* Effect.zipRight(say("held"), later)
      assert.deepStrictEqual(received, ["hello"])
      yield* Effect.zipRight(proxy.flow, event("data"))
      assert.deepStrictEqual(received, ["hello", "held"])
    })
  )

  it.scopedLive("doesn't close the client's side of a half-open connection", () =>
    Effect.gen(function* () {
      const { client, event, later, proxy, received, say, served } = yield* setUp
      yield* Effect.zipRight(proxy.halfOpen, event("close", served[0]!))
      yield* Effect.zipRight(say("anyone?"), later)
      assert.deepStrictEqual(received, ["hello"])
      assert.isFalse(client.destroyed)
      assert.isTrue(client.writable)
    })
  )

  const request = (apiKey: number): Buffer => {
    const frame = Buffer.alloc(20)
    frame.writeInt32BE(16, 0)
    frame.writeInt16BE(apiKey, 4)
    return frame
  }

  it.scopedLive("finds the api key of each request, however its bytes arrive", () =>
    Effect.sync(() => {
      const bytes = Buffer.concat([12, 11, 14].map(request))
      for (const size of [1, 3, 7, 20, 60]) {
        const found: Array<number> = []
        const look = Proxy.apiKeys((key) => found.push(key))
        for (let at = 0; at < bytes.length; at += size) look(bytes.subarray(at, at + size))
        assert.deepStrictEqual(found, [12, 11, 14])
      }
    })
  )

  for (const lost of ["request", "answer"] as const) {
    it.scopedLive(`loses the ${lost} of a member that joins, and no other request`, () =>
      Effect.gen(function* () {
        const { client, event, later, proxy, received, served } = yield* setUp
        const joining = connect({ host: "127.0.0.1", port: Number(proxy.address.split(":")[1]) })
        joining.on("error", () => {})
        yield* event("connect", joining)
        yield* proxy.halfOpenJoins(lost, 60_000)
        const seen: Array<number> = []
        joining.on(
          "data",
          Proxy.apiKeys((key) => seen.push(key))
        )
        joining.write(request(12))
        yield* event("data", joining)
        joining.write(request(11))
        yield* event(lost === "request" ? "close" : "data", served[1]!)
        yield* later
        assert.deepStrictEqual(seen, [12])
        assert.isFalse(joining.destroyed)
        assert.isFalse(client.destroyed)
        const heard = served[1]!.bytesRead
        assert.strictEqual(heard, lost === "request" ? 20 : 40)
        assert.deepStrictEqual(received, ["hello"])
        joining.destroy()
      })
    )
  }
})
