import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "fast-check"
import * as Compression from "../../src/internal/recordBatch/compression.js"
import * as Crc from "../../src/internal/recordBatch/crc.js"
import { codecsOf, compressOf, installed, requireNothing } from "../support/codecs.js"
import { mixture } from "../support/mixture.js"

const names = ["gzip", "snappy", "lz4", "zstd"] as const

const sizes = FastCheck.oneof(FastCheck.nat(40), FastCheck.nat(5_000), FastCheck.nat(300_000))

describe("implementations of a codec", () => {
  for (const name of names) {
    it(`read what each of them writes: ${name}`, () => {
      const codecs = codecsOf(name)
      const writers = codecs.filter(({ compress }) => typeof compress !== "string").map(compressOf)
      assert.isNotEmpty(writers)
      FastCheck.assert(
        FastCheck.property(FastCheck.integer(), sizes, (seed, size) => {
          const bytes = mixture(seed, size)
          for (const compress of writers) {
            const packed = compress(bytes)
            for (const codec of codecs) {
              assert.isTrue(Buffer.from(codec.decompress(packed, bytes.length + 64)).equals(bytes))
            }
          }
        }),
        { numRuns: 100 }
      )
    })

    it(`refuse more bytes than the limit: ${name}`, () => {
      for (const codec of codecsOf(name)) {
        const packed = compressOf(codecsOf(name)[0]!)(mixture(1, 10_000))
        assert.throws(() => codec.decompress(packed, 9_999))
      }
    })
  }

  it("compress about as much as each other", () => {
    const text = new TextEncoder().encode(
      Array.from({ length: 500 }, (_, i) => JSON.stringify({ order: i, amount: (i * 7919) % 997 })).join("\n")
    )
    for (const name of ["snappy", "lz4"] as const) {
      const [native, portable] = codecsOf(name).map((codec) => compressOf(codec)(text).length)
      assert.isBelow(portable!, native! * 1.3, name)
    }
  })
})

describe("codecs without any package", () => {
  const codecs = Compression.make(requireNothing)

  it("read every compression", () => {
    const bytes = mixture(7, 100_000)
    for (const name of names) {
      const packed = compressOf(codecsOf(name)[0]!)(bytes)
      assert.isTrue(Buffer.from(codecs(Compression.ids[name])!.decompress(packed, bytes.length)).equals(bytes), name)
    }
  })

  it("write every compression but zstd, which needs a package or a newer Node", () => {
    const bytes = mixture(8, 100_000)
    for (const name of ["gzip", "snappy", "lz4"] as const) {
      const packed = compressOf(codecs(Compression.ids[name])!)(bytes)
      assert.isTrue(Buffer.from(codecsOf(name)[0]!.decompress(packed, bytes.length)).equals(bytes), name)
    }
    const { compress } = codecsOf("zstd").at(-1)!
    assert.strictEqual(compress, "the package @bokuweb/zstd-wasm, or Node 22.15 or later")
  })
})

describe("CRC-32C", () => {
  const [native, tables] = Crc.loads.map((load) => load(installed))

  it("has the values of RFC 3720, B.4", () => {
    const ascending = Uint8Array.from({ length: 32 }, (_, i) => i)
    for (const crc32c of [native!, tables!]) {
      assert.strictEqual(crc32c(new Uint8Array(32)), 0x8a9136aa)
      assert.strictEqual(crc32c(new Uint8Array(32).fill(255)), 0x62a8ab43)
      assert.strictEqual(crc32c(ascending), 0x46dd794e)
      assert.strictEqual(crc32c(ascending.toReversed()), 0x113fdb5c)
      assert.strictEqual(crc32c(ascending.subarray(9), crc32c(ascending.subarray(0, 9))), 0x46dd794e)
    }
  })

  it("is the same by tables and by the native package, at any alignment", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.uint8Array({ maxLength: 200 }), FastCheck.nat(7), (bytes, from) => {
        const part = bytes.subarray(Math.min(from, bytes.length))
        assert.strictEqual(tables!(part), native!(part))
      })
    )
  })
})
