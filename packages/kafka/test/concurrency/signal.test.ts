import { describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Signal from "../../src/internal/concurrency/signal.js"

describe("Signal", () => {
  it.effect("misses no change between the call and the wait", () =>
    Effect.gen(function* () {
      const signal = Signal.make()
      const waiting = signal.wait()
      signal.notify()
      yield* waiting
    })
  )

  it.effect("wakes every waiter", () =>
    Effect.gen(function* () {
      const signal = Signal.make()
      const waiters = yield* Effect.fork(Effect.all([signal.wait(), signal.wait()], { concurrency: "unbounded" }))
      signal.notify()
      yield* Fiber.join(waiters)
    })
  )
})
