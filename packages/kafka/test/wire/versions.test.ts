import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { choose } from "../../src/internal/wire/versions.js"

const range = fc.tuple(fc.nat(6), fc.nat(6)).map(([a, b]) => ({ min: Math.min(a, b), max: Math.max(a, b) }))

describe("choose", () => {
  it("chooses the newest version that both support, and none otherwise", () => {
    fc.assert(
      fc.property(range, range, (ours, brokers) => {
        const common = [0, 1, 2, 3, 4, 5, 6].filter((version) =>
          [ours, brokers].every(({ min, max }) => version >= min && version <= max)
        )
        assert.strictEqual(choose(ours, brokers), common.at(-1))
      })
    )
  })

  it("chooses none of an API that the broker doesn't support", () => {
    assert.isUndefined(choose({ min: 0, max: 1 }, undefined))
  })
})
