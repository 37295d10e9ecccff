import { assert, describe, it } from "@effect/vitest"
import * as Completion from "@spillway/transport/runtime/Completion"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { survives } from "../../../../scripts/interrupting.js"
import * as RunUntil from "../../src/internal/concurrency/runUntil.js"
import * as Signal from "../../src/internal/concurrency/signal.js"

describe("until", () => {
  it.effect("runs an effect until the deferred is done, and waits for its end", () =>
    Effect.gen(function* () {
      const end = Completion.make<string>()
      const begun = yield* Deferred.make<void>()
      let ended = false
      const slow = Effect.zipRight(
        Effect.sleep("1 second"),
        Effect.sync(() => {
          ended = true
        })
      )
      const running = yield* Effect.fork(
        Effect.map(
          RunUntil.done(end, Effect.ensuring(Effect.zipRight(Deferred.succeed(begun, undefined), Effect.never), slow)),
          (result) => ({ result, ended })
        )
      )
      yield* Deferred.await(begun)
      end.done(Effect.succeed("done"))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.join(running), { result: "done", ended: true })
    })
  )

  it.effect("fails when the effect does", () =>
    Effect.gen(function* () {
      const end = Completion.make<void, string>()
      assert.strictEqual(yield* Effect.flip(RunUntil.done(end, Effect.fail("failed"))), "failed")
    })
  )

  it("ends whenever it is interrupted", () => {
    assert.isUndefined(survives(Effect.suspend(() => RunUntil.done(Completion.make<void>(), Effect.never))))
  })

  it.effect("waits for a notification, but not longer than its limit", () =>
    Effect.gen(function* () {
      const signal = Signal.make()
      const waiting = yield* Effect.fork(
        Effect.all(
          [1, 2].map(() =>
            Effect.suspend(() => Effect.zipRight(RunUntil.notified(signal, 1_000), Clock.currentTimeMillis))
          )
        )
      )
      yield* TestClock.adjust(400)
      signal.notify()
      yield* TestClock.adjust(2_000)
      assert.deepStrictEqual(yield* Fiber.join(waiting), [400, 1_400])
    })
  )
})
