import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Completion from "../../src/runtime/Completion.js"

describe("result", () => {
  it.effect("reaches all waiters, also later ones; only the first counts", () =>
    Effect.gen(function* () {
      const result = Completion.make<number, string>()
      const waiting = yield* Effect.fork(Effect.all([result.wait, result.wait], { concurrency: "unbounded" }))
      yield* Effect.yieldNow()
      result.done(Effect.succeed(1))
      result.done(Effect.fail("second"))
      assert.deepStrictEqual(yield* Fiber.join(waiting), [1, 1])
      assert.strictEqual(yield* result.wait, 1)
    })
  )

  it.effect("may be a failure", () =>
    Effect.gen(function* () {
      const result = Completion.make<void, string>()
      const waiting = yield* Effect.fork(Effect.flip(result.wait))
      yield* Effect.yieldNow()
      result.done(Effect.fail("failed"))
      assert.strictEqual(yield* Fiber.join(waiting), "failed")
    })
  )

  it.effect("doesn't hold up a waiter that stops waiting", () =>
    Effect.gen(function* () {
      const result = Completion.make<void>()
      const waiting = yield* Effect.fork(result.wait)
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(waiting)
      result.done(Effect.void)
      yield* result.wait
    })
  )
})
