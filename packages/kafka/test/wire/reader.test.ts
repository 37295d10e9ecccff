import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { writeArray, writeBytes, writeInt64 } from "../../src/internal/wire/api.js"
import * as Flexible from "../../src/internal/wire/flexible.js"
import { type Encoder, makeEncoder } from "../../src/internal/wire/kafkajs.js"
import { Reader } from "../../src/internal/wire/reader.js"

const encoded = (write: (out: Encoder) => void): Buffer => {
  const out = makeEncoder()
  write(out)
  return out.buffer
}

const value = fc.record({
  flag: fc.boolean(),
  int16: fc.integer({ min: -(2 ** 15), max: 2 ** 15 - 1 }),
  int32: fc.integer(),
  int64: fc.maxSafeInteger(),
  text: fc.option(fc.string({ unit: "binary" })),
  bytes: fc.uint8Array(),
  list: fc.array(fc.integer())
})

describe("Reader", () => {
  it("reads the output of kafkajs's encoder, and rejects every truncation of it", () => {
    fc.assert(
      fc.property(value, fc.nat(), (expected, cut) => {
        const bytes = encoded((out) => {
          out.writeBoolean(expected.flag).writeInt16(expected.int16).writeInt32(expected.int32)
          writeInt64(out, expected.int64)
          out.writeString(expected.text)
          writeBytes(out, expected.bytes)
          writeArray(out, expected.list, (element) => out.writeInt32(element))
        })
        const read = (buffer: Buffer) => {
          const reader = new Reader(buffer)
          return {
            flag: reader.boolean(),
            int16: reader.int16(),
            int32: reader.int32(),
            int64: reader.int64(),
            text: reader.nullableString(),
            bytes: reader.bytes(),
            list: reader.array((each) => each.int32())
          }
        }
        assert.deepStrictEqual(read(bytes), expected)
        assert.throws(() => read(bytes.subarray(0, cut % bytes.length)), RangeError)
      })
    )
  })

  it("refuses an offset that a number can't hold, and rounds a timestamp", () => {
    const bytes = Buffer.alloc(8)
    bytes.writeBigInt64BE(2n ** 53n)
    assert.throws(() => new Reader(bytes).int64(), /2\^53/)
    assert.strictEqual(new Reader(bytes).timestamp(), 2 ** 53)
  })

  it("refuses negative lengths", () => {
    const minusTwo = Buffer.from([0xff, 0xff, 0xff, 0xfe])
    assert.throws(() => new Reader(minusTwo).bytes(), RangeError)
    assert.throws(() => new Reader(minusTwo).array(() => 0), RangeError)
    assert.throws(() => new Reader(minusTwo.subarray(2)).nullableString(), RangeError)
  })

  it("refuses an array of more elements than there are bytes before it reads one", () => {
    const read = () => assert.fail("an element was read")
    const bytes = Buffer.from([0x7f, 0xff, 0xff, 0xff, 1, 2, 3])
    assert.throws(() => new Reader(bytes).array(read), /array of 2147483647 elements before the last 3 bytes/)
    const compact = Buffer.from([5, 1, 2, 3])
    assert.throws(() => Flexible.readArray(new Reader(compact), read), /array of 4 elements before the last 3 bytes/)
    assert.throws(() => new Reader(bytes).skipInt32s(), RangeError)
  })

  it("refuses more objects than the limit, in elements that take no more than a byte or two", () => {
    const bytes = Buffer.alloc(1_004)
    bytes.writeInt32BE(500, 0)
    const read = (maxObjects: number) => new Reader(bytes, maxObjects).array((each) => each.nullableString())
    assert.strictEqual(read(1_001).length, 500)
    assert.throws(() => read(1_000), /more than 1000 values in a response of 1004 bytes/)
  })

  it("makes no objects of skipped values", () => {
    const bytes = encoded((out) => writeArray(out, [1, 2, 3], (element) => out.writeInt32(element)))
    const reader = new Reader(bytes, 0)
    reader.skipInt32s()
    assert.strictEqual(reader.remaining, 0)
  })

  it("returns bytes whose slice is a copy", () => {
    const frame = encoded((out) => writeBytes(out, new Uint8Array([1, 2])))
    const view = new Reader(frame).bytes()
    const copy = view.slice()
    view[0] = 9
    assert.deepStrictEqual([...copy], [1, 2])
  })
})

describe("writeInt64", () => {
  it("refuses a value that is not an integer", () => {
    for (const bad of [Number.NaN, 0.5, 2 ** 53])
      assert.throws(() => encoded((out) => writeInt64(out, bad)), RangeError)
  })
})
