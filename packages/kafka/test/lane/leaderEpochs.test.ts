import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "fast-check"
import * as LeaderEpochs from "../../src/internal/lane/leaderEpochs.js"

describe("leaderEpochs", () => {
  it("returns the epoch of the record before any offset, asked in ascending order", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.integer({ min: -1, max: 2 }),
        FastCheck.array(FastCheck.tuple(FastCheck.integer({ min: 1, max: 4 }), FastCheck.integer({ min: 0, max: 2 }))),
        FastCheck.array(FastCheck.nat({ max: 60 })),
        (start, batches, offsets) => {
          const epochs = LeaderEpochs.make(start)
          /** The epoch of each record, by offset. */
          const log: Array<number> = []
          let epoch = Math.max(start, 0)
          for (const [size, growth] of batches) {
            epoch += growth
            LeaderEpochs.add(epochs, log.length, epoch)
            for (let i = 0; i < size; i++) log.push(epoch)
          }
          assert.strictEqual(LeaderEpochs.last(epochs), log.at(-1) ?? start)
          for (const offset of offsets.map((offset) => Math.min(offset, log.length)).sort((a, b) => a - b)) {
            assert.strictEqual(LeaderEpochs.before(epochs, offset), offset === 0 ? start : log[offset - 1])
          }
        }
      )
    )
  })

  it("returns no later epoch for a record whose own was forgotten", () => {
    const epochs = LeaderEpochs.make(0)
    LeaderEpochs.add(epochs, 10, 1)
    assert.strictEqual(LeaderEpochs.before(epochs, 11), 1)
    assert.strictEqual(LeaderEpochs.before(epochs, 10), -1)
  })

  it("keeps only epochs that may still be asked for", () => {
    const epochs = LeaderEpochs.make(-1)
    for (let offset = 0; offset < 1_000; offset++) {
      LeaderEpochs.add(epochs, offset, offset)
      LeaderEpochs.before(epochs, offset)
    }
    assert.isAtMost(epochs.entries.length, 2)
  })
})
