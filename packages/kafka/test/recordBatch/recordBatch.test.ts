import * as Zlib from "node:zlib"
import { assert, describe, it } from "@effect/vitest"
import { crc32c } from "@node-rs/crc32"
import * as Headers from "@spillway/transport/Headers"
import * as FastCheck from "fast-check"
import * as Lz4 from "lz4-napi"
import * as Snappy from "snappy"
import * as RecordBatch from "../../src/RecordBatch.js"
import { codecsOf } from "../support/codecs.js"

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)
const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"))
const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")
const concat = (...parts: ReadonlyArray<Uint8Array>): Uint8Array => new Uint8Array(Buffer.concat(parts))

const plain = ({ headers, key, timestamp, value }: RecordBatch.EncodableRecord): RecordBatch.EncodableRecord => ({
  key,
  value,
  headers,
  timestamp
})

const record = (value: string, timestamp = 1_700_000_000_000): RecordBatch.EncodableRecord => ({
  key: null,
  value: utf8(value),
  headers: Headers.empty,
  timestamp
})

/** The bytes with fields changed and the checksum made right again. */
const patched = (bytes: Uint8Array, patch: (view: DataView, bytes: Uint8Array) => void): Uint8Array => {
  const copy = new Uint8Array(bytes)
  const view = new DataView(copy.buffer)
  patch(view, copy)
  view.setUint32(17, crc32c(copy.subarray(21)))
  return copy
}

const decodeOne = (bytes: Uint8Array): RecordBatch.DecodedBatch => {
  const { batches, error } = RecordBatch.decode(bytes)
  assert.isUndefined(error)
  assert.strictEqual(batches.length, 1)
  return batches[0]!
}

const errorOf = (bytes: Uint8Array): RecordBatch.RecordBatchError => {
  const { batches, error } = RecordBatch.decode(bytes)
  assert.strictEqual(batches.length, 0)
  assert.isDefined(error)
  return error!
}

// Written by Kafka 4.3.1's MemoryRecords.
const fromJava = {
  plain:
    "000000000000002a0000006100000005022cd822ca0010000000020000018bcfe568000000018cf9eb5a00000000000000004d0003000000090000000318000000026b0a68656c6c6f000e00cf0f02010100340080c8afa0250400000802610231026201026104ff0004c3a900",
  gzip: "000000000000002a000000760000000502fec435350011000000020000018bcfe568000000018cf9eb5a00000000000000004d000300000009000000031f8b08000000000000ff9360606060cae6ca48cdc9c967e06338cfcfc4c8c860c2d07062fd02551606060ea6442643a62446a64496ff0c2c8757320000926dd1b830000000",
  logAppendTime:
    "000000000000000700000061ffffffff02f203536b0008000000020000018bcfe56800000001a20ab8ba22ffffffffffffffffffffffffffff0000000318000000026b0a68656c6c6f000e00cf0f02010100340080c8afa0250400000802610231026201026104ff0004c3a900",
  control:
    "000000000000000b0000004200000004025288fcaa0030000000000000018bcfe568000000018bcfe56800000000000000004d0003ffffffff000000012000000008000000010c00000000000800",
  empty:
    "00000000000000640000003100000005024029e9d1000000000009ffffffffffffffff0000018bcfe56800000000000000004d00030000000900000000"
}

const javaRecords: ReadonlyArray<RecordBatch.EncodableRecord> = [
  { key: utf8("k"), value: utf8("hello"), headers: [], timestamp: 1_700_000_000_000 },
  { key: null, value: null, headers: [], timestamp: 1_699_999_999_000 },
  {
    key: new Uint8Array(0),
    value: new Uint8Array(0),
    headers: [
      ["a", utf8("1")],
      ["b", null],
      ["a", Uint8Array.of(0xff, 0)],
      ["é", new Uint8Array(0)]
    ],
    timestamp: 1_705_000_000_000
  }
]

const javaOptions: RecordBatch.EncodeOptions = {
  baseOffset: 42,
  partitionLeaderEpoch: 5,
  producerId: 77n,
  producerEpoch: 3,
  baseSequence: 9,
  isTransactional: true
}

const bytes = FastCheck.uint8Array({ maxLength: 40 })
const nullableBytes = FastCheck.option(bytes, { nil: null })
const records = (timestamp: FastCheck.Arbitrary<number>) =>
  FastCheck.array(
    FastCheck.record({
      key: nullableBytes,
      value: nullableBytes,
      headers: FastCheck.array(FastCheck.tuple(FastCheck.string({ unit: "grapheme", maxLength: 8 }), nullableBytes), {
        maxLength: 4
      }),
      timestamp
    }),
    { minLength: 1, maxLength: 20 }
  )
const anyTimestamp = FastCheck.oneof(
  FastCheck.integer({ min: -1, max: 4_000_000_000_000 }),
  FastCheck.integer({ min: 1_700_000_000_000, max: 1_700_000_001_000 }),
  FastCheck.integer({ min: -1, max: Number.MAX_SAFE_INTEGER })
)
const codecs = ["gzip", "snappy", "lz4", "zstd"] as const
const compression = FastCheck.constantFrom<RecordBatch.Compression>("none", ...codecs)

describe("RecordBatch", () => {
  describe("encode", () => {
    it("writes what Kafka's Java client writes", () => {
      assert.strictEqual(toHex(RecordBatch.encode(javaRecords, javaOptions)), fromJava.plain)
    })

    it("round-trips any records", () => {
      FastCheck.assert(
        FastCheck.property(
          records(anyTimestamp),
          compression,
          FastCheck.integer({ min: 0, max: 2 ** 52 }),
          (records, compression, baseOffset) => {
            const batch = decodeOne(RecordBatch.encode(records, { compression, baseOffset }))
            assert.deepStrictEqual(batch.records.map(plain), records)
            assert.deepStrictEqual(
              batch.records.map((record) => record.offset),
              records.map((_, index) => baseOffset + index)
            )
            assert.strictEqual(batch.nextOffset, baseOffset + records.length)
          }
        )
      )
    })

    it("keeps deltas beyond 32 bits and at their edges", () => {
      for (const delta of [
        2 ** 31 - 1,
        2 ** 31,
        -(2 ** 31),
        -(2 ** 31) - 1,
        2 ** 53 - 1,
        -(2 ** 53 - 1),
        2 ** 27,
        2 ** 28
      ]) {
        const timestamps = [0, delta]
        const batch = decodeOne(RecordBatch.encode(timestamps.map((timestamp) => record("a", timestamp))))
        assert.deepStrictEqual(
          batch.records.map((record) => record.timestamp),
          timestamps
        )
      }
    })

    it("keeps lengths around each width of a varint", () => {
      for (const length of [63, 64, 8_191, 8_192, 1_048_575, 1_048_576]) {
        const value = new Uint8Array(length).fill(7)
        const batch = decodeOne(RecordBatch.encode([{ key: null, value, headers: [], timestamp: 0 }, record("after")]))
        assert.deepStrictEqual(batch.records[0]!.value, value)
        assert.deepStrictEqual(batch.records[1]!.value, utf8("after"))
      }
    })

    it("bounds a record's size from above", () => {
      FastCheck.assert(
        FastCheck.property(records(anyTimestamp), (records) => {
          const bound = records.reduce((sum, record) => sum + RecordBatch.recordSize(record), RecordBatch.batchOverhead)
          assert.isAtMost(RecordBatch.encode(records).length, bound)
        })
      )
    })
  })

  describe("decode", () => {
    it("reads what Kafka's Java client wrote", () => {
      for (const [name, codec] of [
        ["plain", 0],
        ["gzip", 1]
      ] as const) {
        const encoded = hex(fromJava[name])
        const batch = decodeOne(encoded)
        assert.deepStrictEqual(batch.records.map(plain), javaRecords)
        assert.deepStrictEqual(
          batch.records.map((record) => record.offset),
          [42, 43, 44]
        )
        assert.strictEqual(batch.baseOffset, 42)
        assert.strictEqual(batch.nextOffset, 45)
        assert.strictEqual(batch.partitionLeaderEpoch, 5)
        assert.strictEqual(batch.producerId, 77n)
        assert.isTrue(batch.isTransactional)
        assert.isFalse(batch.isControl)
        assert.strictEqual((RecordBatch.readHeader(encoded) as RecordBatch.BatchHeader).compressionId, codec)
      }
    })

    it("gives every record the append time if the broker sets it", () => {
      const batch = decodeOne(hex(fromJava.logAppendTime))
      assert.deepStrictEqual(
        batch.records.map((record) => record.timestamp),
        Array(3).fill(0x1a20ab8ba22)
      )
    })

    it("returns no records for a control batch, and its next offset", () => {
      const batch = decodeOne(hex(fromJava.control))
      assert.isTrue(batch.isControl)
      assert.strictEqual(batch.nextOffset, 12)
      assert.deepStrictEqual(batch.records, [])
    })

    it("moves past a batch that compaction has emptied, with any compression", () => {
      for (const compressionId of [0, 1, 4]) {
        const batch = decodeOne(patched(hex(fromJava.empty), (view) => view.setInt16(21, compressionId)))
        assert.strictEqual(batch.baseOffset, 100)
        assert.strictEqual(batch.nextOffset, 110)
        assert.deepStrictEqual(batch.records, [])
      }
    })

    it("keeps the gaps that compaction left between offsets", () => {
      const gapped = patched(RecordBatch.encode([record("a"), record("b")], { baseOffset: 5 }), (view, bytes) => {
        // Each record: length, attributes, timestamp delta, offset delta, …
        bytes[61 + 3] = 3 << 1
        const second = 61 + 1 + (bytes[61]! >> 1)
        bytes[second + 3] = 6 << 1
        view.setInt32(23, 9)
      })
      const batch = decodeOne(gapped)
      assert.deepStrictEqual(
        batch.records.map((record) => record.offset),
        [8, 11]
      )
      assert.strictEqual(batch.nextOffset, 15)
    })

    it("reads consecutive batches, and leaves out a last one that is cut off anywhere", () => {
      const first = RecordBatch.encode([record("a"), record("b")], { baseOffset: 10 })
      const second = RecordBatch.encode([record("c")], { baseOffset: 12, compression: "gzip" })
      const both = concat(first, second)
      for (let length = 0; length <= both.length; length++) {
        const { batches, error } = RecordBatch.decode(both.subarray(0, length))
        assert.isUndefined(error)
        assert.strictEqual(batches.length, length < first.length ? 0 : length < both.length ? 1 : 2)
      }
      assert.deepStrictEqual(RecordBatch.decode(new Uint8Array(0)), { batches: [], error: undefined })
    })

    it("keeps the good batches before a corrupt one", () => {
      const bad = RecordBatch.encode([record("bad")], { baseOffset: 11 })
      bad[bad.length - 2]! ^= 1
      const { batches, error } = RecordBatch.decode(
        concat(RecordBatch.encode([record("good")], { baseOffset: 10 }), bad, RecordBatch.encode([record("later")]))
      )
      assert.deepStrictEqual(
        batches.map((batch) => batch.nextOffset),
        [11]
      )
      assert.strictEqual(error?.reason, "CorruptBatch")
      assert.strictEqual(error?.baseOffset, 11)
    })

    it("detects any flipped bit that the checksum covers", () => {
      const encoded = RecordBatch.encode(javaRecords)
      for (let bit = 17 * 8; bit < encoded.length * 8; bit++) {
        const copy = new Uint8Array(encoded)
        copy[bit >> 3]! ^= 1 << (bit & 7)
        const { batches, error } = RecordBatch.decode(copy)
        assert.deepStrictEqual(batches, [])
        assert.isDefined(error)
      }
    })

    it("rejects other formats by their magic byte", () => {
      for (const magic of [0, 1, 3, -1]) {
        const old = new Uint8Array(RecordBatch.encode([record("a")], { baseOffset: 3 }))
        new DataView(old.buffer).setInt8(16, magic)
        assert.strictEqual(errorOf(old).reason, "UnsupportedMagic")
        assert.strictEqual(errorOf(old).baseOffset, 3)
      }
    })

    it("names the codec it can't read", () => {
      const error = errorOf(patched(RecordBatch.encode([record("a")]), (view) => view.setInt16(21, 7)))
      assert.strictEqual(error.reason, "UnsupportedCompression")
      assert.include(error.description, "unknown codec (7)")
    })

    it("rejects offsets that a number can't hold", () => {
      const encoded = RecordBatch.encode([record("a"), record("b")], { baseOffset: 2 ** 53 - 3 })
      assert.deepStrictEqual(
        decodeOne(encoded).records.map((record) => record.offset),
        [2 ** 53 - 3, 2 ** 53 - 2]
      )
      assert.strictEqual(errorOf(RecordBatch.withBaseOffset(encoded, 2 ** 53 - 2)).reason, "UnsafeOffset")
      assert.strictEqual(errorOf(patched(encoded, (view) => view.setBigInt64(0, 2n ** 62n))).reason, "UnsafeOffset")
    })

    it("rejects compressed data that is malformed or larger than allowed", () => {
      for (const [index, compression] of codecs.entries()) {
        const bomb = RecordBatch.encode([{ ...record(""), value: new Uint8Array(100_000) }], { compression })
        assert.isBelow(bomb.length, 10_000)
        const tooLarge = RecordBatch.decode(bomb, { maxDecompressedBytes: 100_000 }).error
        assert.strictEqual(tooLarge?.reason, "CorruptBatch", compression)
        assert.isUndefined(RecordBatch.decode(bomb, { maxDecompressedBytes: 200_000 }).error, compression)
        const other = patched(RecordBatch.encode([record("no such data")]), (view) => view.setInt16(21, index + 1))
        assert.strictEqual(errorOf(other).reason, "CorruptBatch", compression)
      }
    })

    it("rejects compressed data that is cut off anywhere", () => {
      const texts = Array.from({ length: 200 }, (_, i) => record(`${i}: what a record says`))
      for (const compression of codecs) {
        const encoded = RecordBatch.encode(texts, { compression })
        for (let length = 61; length < encoded.length; length++) {
          const cut = patched(encoded.subarray(0, length), (view) => view.setInt32(8, length - 12))
          assert.strictEqual(errorOf(cut).reason, "CorruptBatch", `${compression}, ${length} of ${encoded.length}`)
        }
      }
    })

    it("never throws on damaged compressed data", () => {
      const texts = Array.from({ length: 50 }, (_, i) => record(`${i}: what a record says`))
      FastCheck.assert(
        FastCheck.property(
          FastCheck.constantFrom(...codecs),
          FastCheck.nat(),
          FastCheck.integer({ min: 0, max: 255 }),
          (compression, place, byte) => {
            const encoded = RecordBatch.encode(texts, { compression })
            const at = 61 + (place % (encoded.length - 61))
            const { batches, error } = RecordBatch.decode(
              patched(encoded, (_, bytes) => {
                bytes[at] = byte
              })
            )
            assert.strictEqual(batches.length, error === undefined ? 1 : 0)
            if (error !== undefined) assert.strictEqual(error.reason, "CorruptBatch")
          }
        ),
        { numRuns: 500 }
      )
    })

    it("rejects counts and offsets that don't fit", () => {
      const encoded = RecordBatch.encode([record("a"), record("b")])
      const corrupt = (patch: (view: DataView, bytes: Uint8Array) => void) => {
        assert.strictEqual(errorOf(patched(encoded, patch)).reason, "CorruptBatch")
      }
      for (const count of [0, 1, 3, -1, 0x7fffffff]) corrupt((view) => view.setInt32(57, count))
      for (const delta of [0, -1]) corrupt((view) => view.setInt32(23, delta))
      for (const length of [-1, 0, 48]) corrupt((view) => view.setInt32(8, length))
      corrupt((view) => view.setBigInt64(0, -1n))
      // The second record again at the first's offset.
      corrupt((_, bytes) => {
        bytes[61 + 1 + (bytes[61]! >> 1) + 3] = 0
      })
    })

    it("never throws on random bytes", () => {
      FastCheck.assert(
        FastCheck.property(FastCheck.uint8Array({ maxLength: 200 }), (bytes) => {
          RecordBatch.decode(bytes)
          if (bytes.length > 16) bytes[16] = 2
          RecordBatch.decode(bytes)
        })
      )
    })

    it("reads or reports as corrupt any record bytes behind a correct checksum", () => {
      const everyField = (bytes: Uint8Array) => {
        const { batches, error } = RecordBatch.decode(bytes)
        for (const batch of batches) {
          for (const record of batch.records) {
            const sizes = [record.key, record.value, ...record.headers.map((header) => header[1])]
            assert.isAtMost(
              sizes.reduce((sum, field) => sum + (field?.length ?? 0), 0),
              bytes.length
            )
            assert.isNumber(record.timestamp)
            assert.isBelow(record.offset, batch.nextOffset)
          }
        }
        if (error !== undefined) assert.instanceOf(error, RecordBatch.RecordBatchError)
      }
      const flips = FastCheck.array(FastCheck.tuple(FastCheck.nat(), FastCheck.nat({ max: 255 })), {
        minLength: 1,
        maxLength: 4
      })
      FastCheck.assert(
        FastCheck.property(records(anyTimestamp), flips, (records, flips) => {
          everyField(
            patched(RecordBatch.encode(records), (_, bytes) => {
              for (const [at, value] of flips) bytes[21 + (at % (bytes.length - 21))] = value
            })
          )
        }),
        { numRuns: 2_000 }
      )
      FastCheck.assert(
        FastCheck.property(
          FastCheck.uint8Array({ minLength: 7, maxLength: 60 }),
          FastCheck.nat({ max: 3 }),
          (body, count) => {
            everyField(
              patched(concat(RecordBatch.encode([]).subarray(0, 61), body), (view) => {
                view.setInt32(8, 49 + body.length)
                view.setInt32(23, 100)
                view.setInt32(57, count)
              })
            )
          }
        ),
        { numRuns: 2_000 }
      )
    })

    it("doesn't retain the response", () => {
      const response = concat(RecordBatch.encode([record("first")]), RecordBatch.encode([record("second")]))
      const [first] = RecordBatch.decode(response).batches
      response.fill(0)
      const value = first!.records[0]!.value!
      assert.deepStrictEqual(value, utf8("first"))
      assert.strictEqual(value.buffer.byteLength, first!.sizeInBytes)
    })

    it("reads from a view inside a larger buffer, of Node's Buffer too", () => {
      const encoded = RecordBatch.encode(javaRecords, { compression: "gzip" })
      const inside = Buffer.concat([Buffer.alloc(13, 1), encoded, Buffer.alloc(5, 1)])
      assert.deepStrictEqual(decodeOne(inside.subarray(13, 13 + encoded.length)).records.map(plain), javaRecords)
    })

    it("reads headers once", () => {
      const [, , last] = decodeOne(hex(fromJava.plain)).records
      assert.strictEqual(last!.headers, last!.headers)
    })
  })

  describe("decode, beside aborted transactions", () => {
    interface Entry {
      readonly producerId: bigint
      readonly kind: "plain" | "data" | "commit" | "abort"
    }

    const marker = (type: number): RecordBatch.EncodableRecord => ({
      key: Uint8Array.of(0, 0, 0, type),
      value: Uint8Array.of(0, 0, 0, 0, 0, 0),
      headers: Headers.empty,
      timestamp: 0
    })

    const encodeEntry = ({ kind, producerId }: Entry, baseOffset: number): Uint8Array => {
      if (kind === "plain") return RecordBatch.encode([record("plain")], { baseOffset })
      const isTransactional = true
      if (kind === "data") {
        return RecordBatch.encode([record("data")], { baseOffset, producerId, isTransactional, compression: "gzip" })
      }
      const options = { baseOffset, producerId, isTransactional }
      return patched(RecordBatch.encode([marker(kind === "commit" ? 1 : 0)], options), (view) => {
        view.setInt16(21, 0x30)
      })
    }

    /** The data of aborted transactions, and their first offsets. */
    const abortedOf = (entries: ReadonlyArray<Entry>) => {
      const aborted = new Set<number>()
      const transactions: Array<RecordBatch.AbortedTransaction & { readonly end: number }> = []
      const open = new Map<bigint, Array<number>>()
      entries.forEach(({ kind, producerId }, offset) => {
        if (kind === "data") open.set(producerId, [...(open.get(producerId) ?? []), offset])
        if (kind === "abort") {
          const [firstOffset] = open.get(producerId) ?? []
          if (firstOffset !== undefined) transactions.push({ producerId, firstOffset, end: offset })
          for (const offset of open.get(producerId) ?? []) aborted.add(offset)
        }
        if (kind === "abort" || kind === "commit") open.delete(producerId)
      })
      return { aborted, transactions }
    }

    it("leaves out exactly their records, for any order of producers and transactions", () => {
      FastCheck.assert(
        FastCheck.property(
          FastCheck.array(
            FastCheck.record({
              producerId: FastCheck.bigInt({ min: 1n, max: 3n }),
              kind: FastCheck.constantFrom<Entry["kind"]>("plain", "data", "data", "commit", "abort")
            }),
            { maxLength: 30 }
          ),
          FastCheck.nat({ max: 29 }),
          (entries, from) => {
            const { aborted, transactions } = abortedOf(entries)
            // A fetch may start within transactions; a broker lists the ones that reach into it.
            const read = entries.map((entry, offset) => encodeEntry(entry, offset)).slice(from)
            const { batches, error } = RecordBatch.decode(concat(...read), {
              abortedTransactions: transactions.filter(({ end }) => end >= from).reverse()
            })
            assert.isUndefined(error)
            assert.deepStrictEqual(
              batches.map(({ baseOffset, isAborted, records }) => [baseOffset, isAborted, records.length]),
              entries.slice(from).map(({ kind }, index) => {
                const offset = from + index
                const isData = kind === "plain" || kind === "data"
                return [offset, aborted.has(offset), isData && !aborted.has(offset) ? 1 : 0]
              })
            )
          }
        )
      )
    })

    it("rejects a marker that can't be read, since its transaction is unknown", () => {
      const entries: ReadonlyArray<Entry> = [{ producerId: 1n, kind: "abort" }]
      const bytes = patched(encodeEntry(entries[0]!, 5), (view) => view.setInt32(57, 3))
      const abortedTransactions = [{ producerId: 1n, firstOffset: 3 }]
      assert.strictEqual(RecordBatch.decode(bytes, { abortedTransactions }).error?.reason, "CorruptBatch")
    })
  })

  it("finds the end of a corrupt batch by the next batch, else by its own header", () => {
    const first = RecordBatch.encode([record("a"), record("b")], { baseOffset: 10 })
    const next = RecordBatch.encode([record("c")], { baseOffset: 14 })
    const flipped = first.slice()
    flipped[70]! ^= 1
    const nextOffsetOf = (...parts: ReadonlyArray<Uint8Array>) => RecordBatch.decode(concat(...parts)).error?.nextOffset
    assert.strictEqual(nextOffsetOf(flipped), 12)
    assert.strictEqual(nextOffsetOf(flipped, next.subarray(0, 50)), 12)
    assert.strictEqual(nextOffsetOf(flipped, next), 14)
    const alsoFlipped = next.slice()
    alsoFlipped[alsoFlipped.length - 2]! ^= 1
    assert.strictEqual(nextOffsetOf(flipped, alsoFlipped), 12)
    for (const [magic, nextOffset] of [
      [0, 11],
      [1, 11],
      [3, undefined]
    ] as const) {
      const old = first.slice()
      old[16] = magic
      assert.strictEqual(nextOffsetOf(old), nextOffset)
    }
  })

  describe("as a broker handles batches", () => {
    const encoded = RecordBatch.encode(javaRecords, javaOptions)

    it("reads a header", () => {
      const { crc: _, ...header } = RecordBatch.readHeader(
        concat(Uint8Array.of(1, 2, 3), encoded),
        3
      ) as RecordBatch.BatchHeader
      assert.deepStrictEqual(header, {
        baseOffset: 42,
        nextOffset: 45,
        lastOffsetDelta: 2,
        sizeInBytes: encoded.length,
        partitionLeaderEpoch: 5,
        compressionId: 0,
        isLogAppendTime: false,
        isTransactional: true,
        isControl: false,
        baseTimestamp: 1_700_000_000_000,
        maxTimestamp: 1_705_000_000_000,
        producerId: 77n,
        producerEpoch: 3,
        baseSequence: 9,
        recordCount: 3
      })
      assert.isUndefined(RecordBatch.readHeader(encoded.subarray(0, -1)))
    })

    it("stamps a base offset and a leader epoch without touching the original", () => {
      const before = new Uint8Array(encoded)
      const stamped = RecordBatch.withBaseOffset(encoded, 1_000, 8)
      assert.deepStrictEqual(encoded, before)
      const batch = decodeOne(stamped)
      assert.strictEqual(batch.baseOffset, 1_000)
      assert.strictEqual(batch.partitionLeaderEpoch, 8)
      assert.strictEqual(decodeOne(RecordBatch.withBaseOffset(encoded, 1)).partitionLeaderEpoch, 5)
    })

    it("accepts one complete batch with a correct checksum, nothing else", () => {
      assert.strictEqual((RecordBatch.validate(encoded) as RecordBatch.BatchHeader).recordCount, 3)
      const flipped = new Uint8Array(encoded)
      flipped[70]! ^= 1
      for (const wrong of [flipped, encoded.subarray(0, 80), concat(encoded, encoded), new Uint8Array(0)]) {
        const result = RecordBatch.validate(wrong)
        assert.instanceOf(result, RecordBatch.RecordBatchError)
        assert.strictEqual((result as RecordBatch.RecordBatchError).reason, "CorruptBatch")
      }
    })
  })

  describe("compressed by other implementations", () => {
    const encoded = RecordBatch.encode([record("what a record says. ".repeat(20)), record("b")])
    const body = encoded.subarray(61)

    const compressedWith = (compression: (typeof codecs)[number], payload: Uint8Array) =>
      decodeOne(
        patched(concat(encoded.subarray(0, 61), payload), (view) => {
          view.setInt32(8, 49 + payload.length)
          view.setInt16(21, codecs.indexOf(compression) + 1)
        })
      ).records.map(plain)

    const expected = decodeOne(encoded).records.map(plain)

    it("reads gzip with several members and of a low level", () => {
      const members = concat(Zlib.gzipSync(body.subarray(0, 5), { level: 1 }), Zlib.gzipSync(body.subarray(5)))
      assert.deepStrictEqual(compressedWith("gzip", members), expected)
    })

    it("reads snappy without a frame, as some clients write it, and in a frame of small blocks", () => {
      assert.deepStrictEqual(compressedWith("snappy", Snappy.compressSync(body)), expected)
      const block = (bytes: Uint8Array) => {
        const compressed = Snappy.compressSync(bytes)
        return concat(Uint8Array.of(0, 0, 0, compressed.length), compressed)
      }
      const frame = concat(
        hex("82534e4150505900" + "0000000100000001"),
        block(body.subarray(0, 9)),
        block(body.subarray(9))
      )
      assert.deepStrictEqual(compressedWith("snappy", frame), expected)
    })

    it("reads LZ4 frames of uncompressed blocks, with and without checksums", () => {
      const length = new Uint8Array(4)
      new DataView(length.buffer).setUint32(0, 0x80000000 + body.length, true)
      assert.deepStrictEqual(
        compressedWith("lz4", concat(hex("04224d18604082"), length, body, new Uint8Array(4))),
        expected
      )
      const summed = Lz4.compressFrameSync(Buffer.from(body), { blockChecksums: true, contentChecksum: true })
      assert.deepStrictEqual(compressedWith("lz4", summed), expected)
    })

    it("reads Zstandard frames without a size, as written by streams", () => {
      // One frame of one raw block, without a size in its header.
      const blockHeader = Uint8Array.of(((body.length << 3) & 0xff) | 1, (body.length << 3) >> 8, 0)
      const frame = (bytes: Uint8Array) => concat(hex("28b52ffd0058"), blockHeader, bytes)
      assert.deepStrictEqual(compressedWith("zstd", frame(body)), expected)
      // `zstd -c` from standard input: compressed blocks and a checksum.
      const streamed = hex("28b52ffd0458dd0000a0776861742061207265636f726420736179732e200100f24e9d4ca36ec216")
      for (const zstd of codecsOf("zstd")) {
        assert.deepStrictEqual(zstd.decompress(streamed, 400), utf8("what a record says. ".repeat(20)))
        assert.throws(() => zstd.decompress(streamed, 399))
        assert.strictEqual(zstd.decompress(concat(streamed, streamed), 800).length, 800)
        assert.throws(() => zstd.decompress(concat(streamed, streamed), 799))
        for (const text of ["", "a", "what a record says. ".repeat(20_000)]) {
          if (typeof zstd.compress === "string") continue
          assert.deepStrictEqual(zstd.decompress(zstd.compress(utf8(text)), 400_000), utf8(text))
        }
      }
    })
  })
})
