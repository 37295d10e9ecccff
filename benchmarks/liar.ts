/**
 * A broker that answers with as many of the smallest elements as a response within a limit holds.
 */
import { type AddressInfo, createServer } from "node:net"
import * as Effect from "effect/Effect"

export type Lie = "apiVersions" | "metadata" | "largeMetadata"

/** Just below the limits of record responses and of other responses. */
const largest = 99 * 1024 * 1024
const large = 49 * 1024 * 1024

const int32 = (value: number): Buffer => {
  const out = Buffer.alloc(4)
  out.writeInt32BE(value)
  return out
}

const apiVersionsKey = 18

/** Every API key that a client may ask for, in versions up to 20. */
const honestVersions = (): Buffer => {
  const ranges = Array.from({ length: 100 }, (_, key) => Buffer.from([0, key, 0, 0, 0, 20]))
  return Buffer.concat([Buffer.alloc(2), int32(ranges.length), ...ranges, int32(0)])
}

const many = (bytes: number, head: Buffer, element: Buffer, writeCount: (count: number) => Buffer): Buffer => {
  const count = Math.floor((bytes - 100) / element.length)
  const body = Buffer.alloc(count * element.length, element)
  return Buffer.concat([head, writeCount(count), body, Buffer.alloc(20)])
}

/** Always five bytes, even if fewer suffice. */
const varint = (value: number): Buffer =>
  Buffer.from([0, 7, 14, 21, 28].map((shift, i) => (Math.floor(value / 2 ** shift) & 0x7f) | (i < 4 ? 0x80 : 0)))

/** Topics without a name and without partitions, in the layout of v9 to v12. */
const topics = (bytes: number): Buffer =>
  many(
    bytes,
    Buffer.concat([Buffer.alloc(5), Buffer.from([1, 0]), int32(1)]),
    Buffer.concat([Buffer.from([0, 0, 1]), Buffer.alloc(16, 1), Buffer.from([0, 1, 0, 0, 0, 0, 0])]),
    (count) => varint(count + 1)
  )

const lies: Readonly<Record<Lie, () => Buffer>> = {
  apiVersions: () => many(largest, Buffer.alloc(2), Buffer.from([0, 1, 0, 0, 0, 1]), int32),
  metadata: () => topics(large),
  largeMetadata: () => topics(largest)
}

/** Returns its address. Closed with the scope. */
export const make = (lie: Lie) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.async<ReturnType<typeof createServer>>((resume) => {
        const server = createServer((socket) => {
          socket.on("error", () => {})
          socket.on("data", (request) => {
            const isVersions = request.readInt16BE(4) === apiVersionsKey
            const body = isVersions && lie !== "apiVersions" ? honestVersions() : lies[lie]()
            socket.write(Buffer.concat([int32(body.length + 4), request.subarray(8, 12), body]))
          })
        })
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) => Effect.sync(() => server.close())
    ),
    (server) => `127.0.0.1:${(server.address() as AddressInfo).port}`
  )
