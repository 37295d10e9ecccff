import { assert, describe, it } from "@effect/vitest"
import { crc32c } from "@node-rs/crc32"
import * as FastCheck from "fast-check"
import * as Unpack from "../../src/internal/recordBatch/unpack.js"
import * as RecordBatch from "../../src/RecordBatch.js"

const compressions: ReadonlyArray<RecordBatch.Compression> = ["none", "gzip", "snappy", "lz4", "zstd"]

const concat = (parts: ReadonlyArray<Uint8Array>): Uint8Array => new Uint8Array(Buffer.concat(parts))

const options: Unpack.Options = { abortedTransactions: [], maxRecordBytes: 64 * 1024 * 1024 }

interface Unpacked {
  readonly records: Array<{ readonly offset: number; readonly [field: string]: unknown }>
  readonly error: RecordBatch.RecordBatchError | undefined
  readonly slices: number
}

const plain = ({ headers, key, offset, timestamp, value }: RecordBatch.DecodedRecord) => ({
  offset,
  timestamp,
  key,
  value,
  headers
})

/** All records, in slices of the given sizes in turn, each read before the next as a consumer does. */
const unpack = (
  bytes: Uint8Array,
  sizes: ReadonlyArray<number>,
  more: Partial<Unpack.Options> = {},
  onSlice: (slice: Unpack.Slice, unpacking: Unpack.Unpacking) => void = () => {}
): Unpacked & { readonly nextOffset: number } => {
  const unpacking = Unpack.make(bytes, { ...options, ...more })
  const records: Unpacked["records"] = []
  let nextOffset = -1
  for (let slices = 0; ; slices++) {
    const isDone = unpacking.isDone()
    const slice = unpacking.next(sizes[slices % sizes.length]!)
    assert.strictEqual(slice === undefined, isDone)
    if (slice === undefined) return { records, error: undefined, slices, nextOffset }
    if (slice instanceof RecordBatch.RecordBatchError) {
      assert.isTrue(unpacking.isDone())
      assert.isUndefined(unpacking.next(1))
      return { records, error: slice, slices, nextOffset }
    }
    assert.isAtLeast(slice.baseOffset, nextOffset)
    for (const record of slice.records) {
      assert.isAtLeast(record.offset, slice.baseOffset)
      assert.isBelow(record.offset, slice.nextOffset)
    }
    nextOffset = slice.nextOffset
    records.push(...slice.records.map(plain))
    onSlice(slice, unpacking)
  }
}

const field = FastCheck.option(
  FastCheck.oneof(
    { weight: 9, arbitrary: FastCheck.uint8Array({ maxLength: 30 }) },
    {
      weight: 1,
      arbitrary: FastCheck.tuple(FastCheck.nat(255), FastCheck.nat(60_000)).map(([byte, size]) =>
        new Uint8Array(size).fill(byte)
      )
    }
  ),
  { nil: null }
)

const someRecords = FastCheck.array(
  FastCheck.record({
    key: field,
    value: field,
    headers: FastCheck.array(FastCheck.tuple(FastCheck.string({ maxLength: 8 }), field), { maxLength: 2 }),
    timestamp: FastCheck.oneof(FastCheck.nat(2_000_000), FastCheck.nat(Number.MAX_SAFE_INTEGER))
  }),
  { minLength: 1, maxLength: 30 }
)

const anyBatch = FastCheck.record({
  records: someRecords,
  compression: FastCheck.constantFrom(...compressions),
  gap: FastCheck.nat(3),
  producer: FastCheck.nat(2),
  kind: FastCheck.constantFrom("plain" as const, "transactional" as const, "abort" as const, "commit" as const)
})

const marker = (type: number): RecordBatch.EncodableRecord => ({
  key: Uint8Array.of(0, 0, 0, type),
  value: new Uint8Array(6),
  headers: [],
  timestamp: 0
})

/** A log of batches, and the first offsets of its aborted transactions. */
const logOf = (batches: ReadonlyArray<typeof anyBatch extends FastCheck.Arbitrary<infer A> ? A : never>) => {
  let baseOffset = 0
  const begun = new Map<number, number>()
  const abortedTransactions: Array<RecordBatch.AbortedTransaction> = []
  const parts = batches.map(({ compression, gap, kind, producer, records }) => {
    baseOffset += gap
    const isMarker = kind === "abort" || kind === "commit"
    if (kind === "transactional" && !begun.has(producer)) begun.set(producer, baseOffset)
    if (isMarker) {
      const firstOffset = begun.get(producer)
      if (kind === "abort" && firstOffset !== undefined) {
        abortedTransactions.push({ producerId: BigInt(producer), firstOffset })
      }
      begun.delete(producer)
    }
    const bytes = RecordBatch.encode(isMarker ? [marker(kind === "abort" ? 0 : 1)] : records, {
      baseOffset,
      compression: isMarker ? "none" : compression,
      producerId: kind === "plain" ? -1n : BigInt(producer),
      isTransactional: kind !== "plain",
      isControl: isMarker
    })
    baseOffset += isMarker ? 1 : records.length
    return bytes
  })
  return { bytes: concat(parts), abortedTransactions }
}

const sliceSizes = FastCheck.array(
  FastCheck.oneof(FastCheck.integer({ min: 1, max: 2_000 }), FastCheck.constant(2 ** 20)),
  {
    minLength: 1,
    maxLength: 5
  }
)

const zeros = (values: number, size: number): ReadonlyArray<RecordBatch.EncodableRecord> =>
  Array.from({ length: values }, () => ({ key: null, value: new Uint8Array(size), headers: [], timestamp: 0 }))

/** The same batch with the count of its records changed, its checksum made right. */
const recounted = (bytes: Uint8Array, count: number): Uint8Array => {
  const copy = bytes.slice()
  const view = new DataView(copy.buffer)
  view.setInt32(57, count)
  view.setInt32(23, count)
  view.setUint32(17, crc32c(copy.subarray(21)))
  return copy
}

describe("unpacking", () => {
  it("yields the same records in slices of any sizes as decoding at once, with transactions and cut off", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.array(anyBatch, { minLength: 1, maxLength: 8 }),
        sliceSizes,
        FastCheck.nat(200),
        (batches, sizes, cut) => {
          const { abortedTransactions, bytes } = logOf(batches)
          const whole = bytes.subarray(0, Math.max(0, bytes.length - (cut > 100 ? cut - 100 : 0)))
          const expected = RecordBatch.decode(whole, { abortedTransactions })
          assert.isUndefined(expected.error)
          const actual = unpack(whole, sizes, { abortedTransactions })
          assert.isUndefined(actual.error)
          assert.deepStrictEqual(
            actual.records,
            expected.batches.flatMap(({ records }) => records.map(plain))
          )
          assert.strictEqual(actual.nextOffset, expected.batches.at(-1)?.nextOffset ?? -1)
        }
      ),
      { numRuns: 300 }
    )
  })

  it("yields the same in slices of batches too large to decompress at once", () => {
    const value = (i: number, size: number) => new Uint8Array(size).map((_, at) => (at * i) >> 3)
    for (const compression of compressions) {
      const records = Array.from({ length: 400 }, (_, i) => ({
        key: null,
        value: value(i, i === 200 ? 1_500_000 : 5_000 + i),
        headers: [],
        timestamp: i
      }))
      const bytes = RecordBatch.encode(records, { compression })
      for (const sliceBytes of [1, 100_000, 2 ** 20]) {
        const actual = unpack(bytes, [sliceBytes], {}, (slice) => {
          assert.isTrue(slice.bytes <= sliceBytes || slice.records.length === 1)
        })
        assert.isUndefined(actual.error, compression)
        assert.deepStrictEqual(
          actual.records.map(({ value }) => value),
          records.map(({ value }) => value)
        )
      }
    }
  })

  it("keeps only a slice, a window and a record in memory, of batches a thousand times as large", () => {
    for (const compression of compressions) {
      const bytes = RecordBatch.encode(zeros(200, 300_000), { compression })
      let most = 0
      const { records } = unpack(bytes, [2 ** 20], {}, (slice, unpacking) => {
        most = Math.max(most, unpacking.heldBytes() + slice.bytes)
      })
      assert.strictEqual(records.length, 200, compression)
      assert.isBelow(most, 8_000_000, compression)
    }
  })

  it("counts records besides their bytes, so that many small ones take many slices", () => {
    const bytes = RecordBatch.encode(zeros(100_000, 1), { compression: "zstd" })
    const { records, slices } = unpack(bytes, [2 ** 20], {}, (slice) => assert.isAtMost(slice.records.length, 8_192))
    assert.strictEqual(records.length, 100_000)
    assert.isAbove(slices, 12)
  })

  it("rejects a compressed record above the limit with a typed error, after the records before it, and accepts one below", () => {
    for (const compression of compressions) {
      const bytes = RecordBatch.encode([...zeros(3, 10), ...zeros(1, 3_000_000), ...zeros(1, 10)], { compression })
      assert.strictEqual(unpack(bytes, [2 ** 20], { maxRecordBytes: 3_000_100 }).records.length, 5)
      const { error, nextOffset, records } = unpack(bytes, [2 ** 20], { maxRecordBytes: 2 ** 20 })
      if (compression === "none") {
        assert.strictEqual(records.length, 5)
        continue
      }
      assert.strictEqual(records.length, 3, compression)
      assert.strictEqual(nextOffset, 3)
      assert.strictEqual(error?.reason, "RecordTooLarge")
      assert.include(error?.description, "record 3 of 5 takes 3000")
      assert.include(error?.description, "maxRecordBytes (1048576)")
      assert.strictEqual(error?.nextOffset, 5)
    }
  })

  it("allocates nothing for missing records, and yields the existing ones", () => {
    for (const compression of compressions) {
      const bytes = recounted(RecordBatch.encode(zeros(5, 10), { compression }), 2 ** 31 - 1)
      const { error, records } = unpack(bytes, [2 ** 20])
      assert.strictEqual(records.length, 5)
      assert.strictEqual(error?.reason, "CorruptBatch")
      assert.include(error?.description, "record 5 of 2147483647 doesn't fit")
      const fewer = unpack(recounted(RecordBatch.encode(zeros(5, 10), { compression }), 3), [2 ** 20])
      assert.strictEqual(fewer.records.length, 3)
      assert.include(fewer.error?.description, "bytes are left after its 3 records")
    }
  })

  it("of damaged bytes yields records or reports the damage, and never throws", () => {
    FastCheck.assert(
      FastCheck.property(
        someRecords,
        FastCheck.constantFrom(...compressions),
        FastCheck.array(FastCheck.tuple(FastCheck.nat(), FastCheck.nat(255)), { minLength: 1, maxLength: 4 }),
        sliceSizes,
        (records, compression, changes, sizes) => {
          const bytes = RecordBatch.encode(records, { compression })
          for (const [at, byte] of changes) bytes[61 + (at % (bytes.length - 61))] = byte
          new DataView(bytes.buffer).setUint32(17, crc32c(bytes.subarray(21)))
          const { error } = unpack(bytes, sizes)
          if (error !== undefined) assert.include(["CorruptBatch", "RecordTooLarge"], error.reason)
        }
      ),
      { numRuns: 1_000 }
    )
  })

  it("knows the unpacked size of uncompressed batches, and not of compressed ones", () => {
    const plainBatch = RecordBatch.encode(zeros(3, 10))
    const size = plainBatch.length - 12 + 3 * Unpack.recordOverhead
    assert.strictEqual(Unpack.unpackedBytes(concat([plainBatch, plainBatch, plainBatch.subarray(0, 50)])), 2 * size)
    const compressed = RecordBatch.encode(zeros(3, 10), { compression: "gzip" })
    assert.isUndefined(Unpack.unpackedBytes(concat([plainBatch, compressed])))
    assert.isUndefined(Unpack.unpackedBytes(new Uint8Array(20)))
  })
})
