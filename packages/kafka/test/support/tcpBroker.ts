/**
 * A TCP server that speaks the protocol's framing, and can do things that a healthy broker never does.
 */
import * as net from "node:net"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { apis } from "../../src/internal/wire/apis.js"
import { makeFrames } from "../../src/internal/wire/frames.js"
import { Reader } from "../../src/internal/wire/reader.js"
import type { Endpoint } from "../../src/Wire.js"

export interface Received {
  readonly apiKey: number
  readonly apiVersion: number
  readonly correlationId: number
  readonly clientId: string
  readonly body: Reader
  readonly socket: net.Socket
  /** Answers with a body. */
  readonly reply: (body: Buffer) => void
}

export const frame = (correlationId: number, body: Buffer): Buffer => {
  const head = Buffer.alloc(8)
  head.writeInt32BE(4 + body.length, 0)
  head.writeInt32BE(correlationId, 4)
  return Buffer.concat([head, body])
}

const apiVersionsKey = 18

/** The answer to ApiVersions: Spillway's versions except `except`, and versions 0 to 1 of `besides`. */
export const apiVersionsBody = (
  except: Readonly<Record<number, readonly [min: number, max: number]>> = {},
  besides: ReadonlyArray<number> = []
): Buffer => {
  const others = besides.map((key) => ({ key, versions: { min: 0, max: 1 } }))
  const ranges = [...Object.values(apis), ...others].map(({ key, versions }) => {
    const [min, max] = except[key] ?? [versions.min, versions.max]
    const range = Buffer.alloc(6)
    range.writeInt16BE(key, 0)
    range.writeInt16BE(min, 2)
    range.writeInt16BE(max, 4)
    return range
  })
  const head = Buffer.alloc(6)
  head.writeInt32BE(ranges.length, 2)
  return Buffer.concat([head, ...ranges, Buffer.alloc(4)])
}

export const answerApiVersions = (request: Received): boolean => {
  if (request.apiKey !== apiVersionsKey) return false
  request.reply(apiVersionsBody())
  return true
}

/** Listens on 127.0.0.1 until the scope closes. `onRequest` sees each request; by default handshakes are answered. */
export const listen = (options: {
  readonly onRequest: (request: Received) => void
  readonly onConnection?: (socket: net.Socket) => void
  readonly handshake?: boolean
}): Effect.Effect<Endpoint, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.async<{ readonly endpoint: Endpoint; readonly close: () => void }>((resume) => {
      const sockets = new Set<net.Socket>()
      const server = net.createServer((socket) => {
        sockets.add(socket)
        socket.on("error", () => {})
        options.onConnection?.(socket)
        const push = makeFrames(
          4,
          () => 1 << 24,
          (bytes) => {
            const body = new Reader(bytes)
            const [apiKey, apiVersion, correlationId, clientId] = [
              body.int16(),
              body.int16(),
              body.int32(),
              body.string()
            ]
            const reply = (answer: Buffer) => void socket.write(frame(correlationId, answer))
            const request = { apiKey, apiVersion, correlationId, clientId, body, socket, reply }
            if (options.handshake === false || !answerApiVersions(request)) options.onRequest(request)
          }
        )
        socket.on("data", push)
      })
      server.listen(0, "127.0.0.1", () => {
        const { port } = server.address() as net.AddressInfo
        const close = () => {
          for (const socket of sockets) socket.destroy()
          server.close()
        }
        resume(Effect.succeed({ endpoint: { host: "127.0.0.1", port }, close }))
      })
    }),
    ({ close }) => Effect.sync(close)
  ).pipe(Effect.map(({ endpoint }) => endpoint))
