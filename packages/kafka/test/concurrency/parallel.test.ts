import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { survives } from "../../../../scripts/interrupting.js"
import * as Parallel from "../../src/internal/concurrency/parallel.js"

describe("concurrently", () => {
  it.effect("runs all at once, and gives their results in order", () =>
    Effect.gen(function* () {
      const last = yield* Deferred.make<void>()
      const results = yield* Parallel.forEach([1, 2, 3], (item) =>
        Effect.as(item === 3 ? Deferred.succeed(last, undefined) : Deferred.await(last), item * 2)
      )
      assert.deepStrictEqual(results, [2, 4, 6])
    })
  )

  it.effect("ends the others when one fails", () =>
    Effect.gen(function* () {
      let ended = 0
      const endless = Effect.onInterrupt(Effect.never, () => Effect.sync(() => ended++))
      const error = yield* Effect.flip(
        Parallel.forEach([1, 2, 3], (item) => (item === 1 ? Effect.fail("failed") : endless))
      )
      assert.strictEqual(error, "failed")
      assert.strictEqual(ended, 2)
    })
  )

  it("ends whenever it is interrupted", () => {
    const never = Effect.flatMap(Deferred.make<void>(), Deferred.await)
    assert.isUndefined(survives(Parallel.forEach([1, 2, 3], () => never)))
  })
})
