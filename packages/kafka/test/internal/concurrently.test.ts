import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Scheduler from "effect/Scheduler"
import * as Concurrently from "../../src/internal/concurrently.js"

/** Fibres yield after so many operations. */
const operationsPerTurn = 30

/** Runs an effect after so many operations of no effect, and interrupts it after so many turns; how it ended, if it has. */
const interrupted = <A, E>(effect: Effect.Effect<A, E>, before: number, turns: number): Exit.Exit<A, E> | null => {
  const ready: Array<() => void> = []
  const scheduler = Scheduler.make(
    (task) => {
      ready.push(task)
    },
    (fiber) => (fiber.currentOpCount > operationsPerTurn ? 0 : false)
  )
  const late = Array.from({ length: before }).reduce<Effect.Effect<A, E>>(
    (inner) => Effect.suspend(() => inner),
    effect
  )
  const fiber = Effect.runFork(late, { scheduler })
  for (let i = 0; i < turns; i++) ready.shift()?.()
  fiber.unsafeInterruptAsFork(FiberId.none)
  for (let task = ready.shift(); task !== undefined; task = ready.shift()) task()
  return fiber.unsafePoll()
}

describe("concurrently", () => {
  it.effect("runs all at once, and gives their results in order", () =>
    Effect.gen(function* () {
      const last = yield* Deferred.make<void>()
      const results = yield* Concurrently.forEach([1, 2, 3], (item) =>
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
        Concurrently.forEach([1, 2, 3], (item) => (item === 1 ? Effect.fail("failed") : endless))
      )
      assert.strictEqual(error, "failed")
      assert.strictEqual(ended, 2)
    })
  )

  it("ends whenever it is interrupted", () => {
    for (let before = 0; before < operationsPerTurn; before++) {
      for (let turns = 0; turns < 8; turns++) {
        const never = Effect.flatMap(Deferred.make<void>(), Deferred.await)
        const exit = interrupted(
          Concurrently.forEach([1, 2, 3], () => never),
          before,
          turns
        )
        assert(exit !== null && Exit.isInterrupted(exit), `after ${before} operations and ${turns} turns`)
      }
    }
  })
})
