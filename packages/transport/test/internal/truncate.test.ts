import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { truncate } from "../../src/internal/truncate.js"

describe("truncate", () => {
  it("keeps the longest allowed prefix and splits no surrogate pair", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom("a", "é", "😀"), maxLength: 40 }),
        fc.integer({ min: 1, max: 20 }),
        (text, length) => {
          const cut = truncate(text, length)
          assert.isTrue(text.startsWith(cut))
          assert.isAtMost(cut.length, length)
          assert.isAtLeast(cut.length, Math.min(text.length, length) - 1)
          assert.isTrue(!/[\uD800-\uDBFF]$/.test(cut))
        }
      )
    )
  })

  it("leaves out a pair that would be split", () => {
    assert.strictEqual(truncate("ab😀", 3), "ab")
    assert.strictEqual(truncate("ab😀", 4), "ab😀")
  })
})
