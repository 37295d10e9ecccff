import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { makeFrames, piecesOf } from "../../src/internal/wire/frames.js"

const encode = (frames: ReadonlyArray<Uint8Array>): Buffer =>
  Buffer.concat(
    frames.flatMap((frame) => {
      const size = Buffer.alloc(4)
      size.writeInt32BE(frame.length)
      return [size, frame]
    })
  )

describe("frames", () => {
  it("are reassembled from any chunks", () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ minLength: 4, maxLength: 60 }), { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1 }),
        (frames, chunkSizes) => {
          const read: Array<Buffer> = []
          const push = makeFrames(
            4,
            () => 60,
            (frame) => read.push(frame)
          )
          const stream = encode(frames)
          for (let at = 0, i = 0; at < stream.length; i++) {
            const next = at + chunkSizes[i % chunkSizes.length]!
            assert.isUndefined(push(stream.subarray(at, next)))
            at = next
          }
          assert.deepStrictEqual(
            read.map((frame) => [...frame]),
            frames.map((frame) => [...frame])
          )
        }
      )
    )
  })

  for (const size of [-1, 0, 3, 61, 0x15030300]) {
    it(`refuses a size of ${size}`, () => {
      const head = Buffer.alloc(4)
      head.writeInt32BE(size)
      assert.strictEqual(
        makeFrames(
          4,
          () => 60,
          () => assert.fail("a frame")
        )(head),
        size
      )
    })
  }

  it("retains no chunk", () => {
    const chunk = encode([new Uint8Array(5000), new Uint8Array(5000)])
    makeFrames(
      4,
      () => 5000,
      (frame) => assert.strictEqual(frame.buffer.byteLength, 5000)
    )(chunk)
  })

  for (const size of [0, 100, 20_000]) {
    it(`are written with ${size} bytes attached where they belong`, () => {
      const head = Buffer.from([0, 0, 0, 0, 1, 2, 3])
      const attached = [new Uint8Array(size).fill(8), new Uint8Array(size).fill(9)]
      const pieces = piecesOf(head, [
        { at: 5, bytes: attached[0]! },
        { at: 7, bytes: attached[1]! }
      ])
      const expected = encode([Buffer.concat([Buffer.of(1), attached[0]!, Buffer.of(2, 3), attached[1]!])])
      assert.deepStrictEqual(Buffer.concat(pieces), expected)
      if (size <= 100) assert.strictEqual(pieces.length, 1)
      else assert.isTrue(attached.every((bytes) => pieces.includes(bytes)))
    })
  }
})
