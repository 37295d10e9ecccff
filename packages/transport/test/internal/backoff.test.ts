import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { type Backoff, delay } from "../../src/internal/backoff.js"

const backoff = (jitter: fc.Arbitrary<boolean>): fc.Arbitrary<Backoff> =>
  fc.record({
    base: fc.double({ min: 0, max: 1e6, noNaN: true }),
    factor: fc.double({ min: 1, max: 10, noNaN: true }),
    cap: fc.double({ min: 0, max: 1e7, noNaN: true }),
    jitter
  })

const retry = fc.integer({ min: 0, max: 10_000 })
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

describe("backoff", () => {
  it("stays between half of the full delay and the cap", () => {
    fc.assert(
      fc.property(backoff(fc.boolean()), retry, random, (options, retry, random) => {
        const actual = delay(options, retry, random)
        const full = delay({ ...options, jitter: false }, retry, random)
        assert.isTrue(Number.isSafeInteger(actual))
        assert.isAtLeast(actual, full / 2)
        assert.isAtMost(actual, Math.min(full, options.cap))
      })
    )
  })

  it("never shrinks without jitter", () => {
    fc.assert(
      fc.property(backoff(fc.constant(false)), retry, (options, retry) => {
        assert.isAtLeast(delay(options, retry + 1, 0), delay(options, retry, 0))
      })
    )
  })

  it("multiplies by the factor until the cap", () => {
    const options: Backoff = { base: 100, factor: 3, cap: 1_000, jitter: false }
    assert.deepStrictEqual(
      [0, 1, 2, 3, 10_000].map((retry) => delay(options, retry, 0)),
      [100, 300, 900, 1_000, 1_000]
    )
  })

  it("is zero for a base of zero", () => {
    assert.strictEqual(delay({ base: 0, factor: 2, cap: 1_000, jitter: true }, 10_000, 0.5), 0)
  })
})
