import * as Zlib from "node:zlib"
import * as Zstd from "@bokuweb/zstd-wasm"
import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "fast-check"
import * as Lz4 from "lz4-napi"
import * as Snappy from "snappy"
import type { Codec } from "../../src/internal/recordBatch/codec.js"
import * as Pieces from "../../src/internal/recordBatch/pieces.js"
import { codecsOf, compressOf } from "../support/codecs.js"
import { mixture } from "../support/mixture.js"

type Name = "gzip" | "snappy" | "lz4" | "zstd"

/** The implementation that this runtime prefers. */
const codec = (name: Name): Codec => codecsOf(name)[0]!

const compressed = (name: Name, bytes: Uint8Array): Uint8Array => compressOf(codec(name))(bytes)

const collect = (pieces: Pieces.Pieces) => Pieces.collect(pieces, Number.POSITIVE_INFINITY)

const data = FastCheck.tuple(
  FastCheck.integer(),
  FastCheck.oneof(FastCheck.nat(100), FastCheck.nat(20_000), FastCheck.nat(3_000_000))
).map(([seed, size]) => mixture(seed, size))

const agrees = (name: Name, compress: (bytes: Uint8Array, dice: number) => Uint8Array) =>
  FastCheck.assert(
    FastCheck.property(data, FastCheck.nat(1_000), (bytes, dice) => {
      const packed = compress(bytes, dice)
      for (const codec of codecsOf(name)) {
        assert.isTrue(Buffer.from(bytes.buffer).equals(collect(codec.pieces(packed))))
      }
    }),
    { numRuns: 25 }
  )

describe("pieces of compressed bytes", () => {
  it("equal the input of zlib, for any level and strategy", () => {
    agrees("gzip", (bytes, dice) =>
      Zlib.gzipSync(bytes, { level: dice % 10, strategy: Math.floor(dice / 10) % 5, memLevel: 1 + (dice % 9) })
    )
  })

  it("equal the input of several gzip members, with every header field", () => {
    const [head, ...rest] = [Zlib.gzipSync("one"), Zlib.gzipSync("two")]
    const fields = Buffer.from([...head.subarray(0, 3), 2 | 4 | 8 | 16, ...head.subarray(4, 10), 3, 0, 1, 2, 3])
    const names = Buffer.from("name\0comment\0\0\0")
    const packed = Buffer.concat([fields, names, head.subarray(10), ...rest])
    assert.strictEqual(Buffer.from(collect(codec("gzip").pieces(packed))).toString(), "onetwo")
  })

  it("equal the input of snappy, framed and bare", () => {
    agrees("snappy", (bytes) => compressed("snappy", bytes))
    agrees("snappy", (bytes) => Snappy.compressSync(Buffer.from(bytes.buffer)))
  })

  it("equal the input of LZ4", () => {
    agrees("lz4", (bytes) => Lz4.compressFrameSync(Buffer.from(bytes.buffer)))
  })

  it("equal the input of Zstandard, for any level", async () => {
    await Zstd.init()
    agrees("zstd", (bytes, dice) => {
      const [one, other] = [bytes.subarray(0, dice), bytes.subarray(dice)]
      return Buffer.concat([one, other].map((part) => Zstd.compress(Buffer.from(part), 1 + (dice % 22))))
    })
  })

  it("keep little in memory of a hundred times as much", () => {
    const zeros = new Uint8Array(20_000_000)
    for (const name of ["gzip", "snappy", "lz4", "zstd"] as const) {
      const pieces = codec(name).pieces(compressed(name, zeros))
      let size = 0
      for (let piece = pieces.next(); piece !== undefined; piece = pieces.next()) {
        size += piece.length
        assert.isAtMost(piece.length, 256 * 1024, name)
        assert.isAtMost(pieces.heldBytes(), 5_000_000, name)
      }
      assert.strictEqual(size, zeros.length, name)
    }
  })

  it("throw, and neither hang nor exceed their limits, if bytes are damaged or cut off", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.constantFrom("gzip", "snappy", "lz4", "zstd"),
        FastCheck.tuple(FastCheck.integer(), FastCheck.nat(5_000)).map(([seed, size]) => mixture(seed, size)),
        FastCheck.array(FastCheck.tuple(FastCheck.nat(), FastCheck.integer({ min: 1, max: 255 })), { maxLength: 3 }),
        FastCheck.nat(),
        (name, bytes, damages, cut) => {
          const packed = new Uint8Array(compressed(name, bytes))
          for (const [at, mask] of damages) packed[at % packed.length]! ^= mask
          const short = packed.subarray(0, damages.length > 1 ? cut % packed.length : packed.length)
          for (const codec of codecsOf(name)) {
            try {
              Pieces.collect(codec.pieces(short), 50_000_000)
            } catch (error) {
              assert.instanceOf(error, name === "snappy" ? Error : RangeError)
            }
          }
        }
      ),
      { numRuns: 2_000 }
    )
  })

  it("of an LZ4 frame may exceed its header's content size, and decompressing it whole is rejected", () => {
    const honest = Lz4.compressFrameSync(Buffer.alloc(5_000_000))
    const flags = honest[4]!
    const said = Buffer.alloc(8)
    said.writeUInt32LE(100)
    const from = 6 + ((flags & 8) === 0 ? 0 : 8)
    const head = Buffer.concat([honest.subarray(0, 4), Buffer.of(flags | 8), honest.subarray(5, 6), said])
    const lying = Buffer.concat([head, honest.subarray(from)])
    assert.isFalse(codec("lz4").fits(lying, 1_000_000))
    assert.throws(() => codec("lz4").decompress(lying, 1_000_000), /more than 1000000 bytes/)
  })
})
