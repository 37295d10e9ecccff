import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "fast-check"
import * as Window from "../../../src/internal/circuitBreaker/window.js"

const call = FastCheck.record({ failed: FastCheck.boolean(), after: FastCheck.nat(400), clear: FastCheck.nat(20) })

describe("window", () => {
  it("of a count holds the last N calls", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.integer({ min: 1, max: 30 }),
        FastCheck.array(call, { maxLength: 100 }),
        (size, calls) => {
          const window = Window.ofCount(size)
          let model: Array<boolean> = []
          for (const { clear, failed } of calls) {
            if (clear === 0) {
              window.clear()
              model = []
            }
            window.add(failed, 0)
            model = [...model, failed].slice(-size)
            assert.strictEqual(window.calls(), model.length)
            assert.strictEqual(window.failures(), model.filter(Boolean).length)
          }
        }
      )
    )
  })

  it("of a time holds every call of the last nine tenths of it, and none that is older than it", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.constantFrom(0, 1_700_000_000_000),
        FastCheck.integer({ min: 1, max: 2_000 }),
        FastCheck.array(call, { maxLength: 100 }),
        (start, millis, calls) => {
          const window = Window.ofTime(millis)
          let now = start
          let model: Array<{ readonly failed: boolean; readonly at: number }> = []
          const within = (age: number, failed?: boolean) =>
            model.filter((one) => now - one.at < age && (failed === undefined || one.failed === failed)).length
          for (const { after, clear, failed } of calls) {
            now += after
            if (clear === 0) {
              window.clear()
              model = []
            }
            window.add(failed, now)
            model.push({ failed, at: now })
            assert.isAtLeast(window.calls(), within(0.9 * millis))
            assert.isAtMost(window.calls(), within(millis))
            assert.isAtLeast(window.failures(), within(0.9 * millis, true))
            assert.isAtMost(window.failures(), within(millis, true))
          }
        }
      )
    )
  })

  it("of a time treats a clock that goes back as one that stands still", () => {
    const window = Window.ofTime(1_000)
    window.add(true, 5_000)
    window.add(false, 1_000)
    assert.deepStrictEqual([window.calls(), window.failures()], [2, 1])
    window.add(true, 6_000)
    assert.deepStrictEqual([window.calls(), window.failures()], [1, 1])
  })
})
