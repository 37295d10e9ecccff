import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "fast-check"
import * as Pauses from "../../src/internal/consumer/pauses.js"

const partitions = ["a", "b"].flatMap((topic) => [0, 1, 2].map((partition) => ({ topic, partition })))

const step = FastCheck.record({
  paused: FastCheck.boolean(),
  which: FastCheck.option(FastCheck.subarray(partitions))
})

describe("pauses", () => {
  it("agree with a naive model, also for partitions that no call named", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.array(step), FastCheck.subarray(partitions), (steps, owned) => {
        let pauses = Pauses.none
        const model = new Map(partitions.map((partition) => [partition, false]))
        let others = false
        for (const { paused, which } of steps) {
          if (which === null) {
            pauses = paused ? Pauses.all : Pauses.none
            others = paused
          } else pauses = Pauses.set(pauses, which, paused)
          for (const partition of which ?? partitions) model.set(partition, paused)
        }
        for (const [partition, paused] of model) assert.strictEqual(Pauses.isPaused(pauses, partition), paused)
        assert.strictEqual(Pauses.isPaused(pauses, { topic: "c", partition: 0 }), others)
        const whole =
          owned.length > 0 ? owned.every((one) => model.get(one)) : others && [...model.values()].every(Boolean)
        assert.strictEqual(Pauses.isWhole(pauses, owned), whole)
      })
    )
  })
})
