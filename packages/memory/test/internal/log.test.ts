import { assert, describe, it } from "@effect/vitest"
import * as RecordBatch from "@spillway/kafka/RecordBatch"
import * as FastCheck from "fast-check"
import * as Log from "../../src/internal/log.js"

const batch = (timestamps: ReadonlyArray<number>) =>
  RecordBatch.encode(timestamps.map((timestamp) => ({ key: null, value: null, headers: [], timestamp })))

const batches = FastCheck.array(FastCheck.array(FastCheck.nat(50), { minLength: 1, maxLength: 4 }), { maxLength: 8 })

const logOf = (batches: ReadonlyArray<ReadonlyArray<number>>) => {
  const log = Log.make(1)
  for (const timestamps of batches) {
    const baseOffset = log.endOffset
    assert.deepStrictEqual(Log.append(log, batch(timestamps), 1_000_000), { errorCode: 0, baseOffset })
    Log.replicate(log)
  }
  return log
}

const decode = (parts: ReadonlyArray<Uint8Array>) =>
  parts.flatMap((bytes) => RecordBatch.decode(bytes).batches.flatMap(({ records }) => records))

describe("log", () => {
  it("holds every record at the next offset, until truncated", () => {
    FastCheck.assert(
      FastCheck.property(batches, FastCheck.nat(32), (batches, start) => {
        const log = logOf(batches)
        const timestamps = batches.flat()
        const startOffset = Math.min(start, timestamps.length)
        Log.truncateBefore(log, startOffset)
        assert.deepStrictEqual(
          Log.records(log, "read_committed").map(({ offset, timestamp }) => [offset, timestamp]),
          timestamps.map((timestamp, offset) => [offset, timestamp]).slice(startOffset)
        )
        assert.deepStrictEqual([log.startOffset, log.endOffset], [startOffset, timestamps.length])
      })
    )
  })

  it("reads whole batches from the one that holds the offset, within the limit or one", () => {
    FastCheck.assert(
      FastCheck.property(batches, FastCheck.nat(32), FastCheck.nat(500), FastCheck.boolean(), (...given) => {
        const [batches, at, maxBytes, atLeastOne] = given
        const log = logOf(batches)
        const offset = Math.min(at, log.endOffset)
        const { batches: parts } = Log.read(log, offset, "read_committed", maxBytes, atLeastOne)
        const records = decode(parts)
        const size = parts.reduce((sum, part) => sum + part.length, 0)
        assert.isTrue(size <= maxBytes || (atLeastOne && parts.length === 1))
        if (atLeastOne) assert.strictEqual(records.length > 0, offset < log.endOffset)
        if (records.length > 0) {
          assert.isAtMost(records[0]!.offset, offset)
          assert.isAtLeast(records[records.length - 1]!.offset, offset)
          const withoutFirst = decode(parts.slice(1))
          assert.isTrue(withoutFirst.every((record) => record.offset > offset))
        }
      })
    )
  })

  it("finds the first offset at or after a timestamp", () => {
    FastCheck.assert(
      FastCheck.property(batches, FastCheck.nat(60), (batches, timestamp) => {
        const all = batches.flat()
        const expected = all.findIndex((one) => one >= timestamp)
        assert.deepStrictEqual(Log.offsetFor(logOf(batches), timestamp, "read_committed"), {
          offset: expected,
          timestamp: all[expected] ?? -1
        })
      })
    )
  })
})
