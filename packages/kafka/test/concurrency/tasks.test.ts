import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import * as Tasks from "../../src/internal/concurrency/tasks.js"

describe("tasks", () => {
  it.scoped("run one at a time for each key, and each signals its end", () =>
    Effect.gen(function* () {
      let ends = 0
      let started = 0
      const tasks = yield* Tasks.make<string>(() => {
        ends++
      })
      const second = Effect.zipRight(
        Effect.sync(() => started++),
        Effect.sleep("1 second")
      )
      for (const key of ["a", "a", "b"]) yield* tasks.start(key, second)
      yield* TestClock.adjust("999 millis")
      assert.deepStrictEqual([started, ends, tasks.isRunning("a"), tasks.isRunning("c")], [2, 0, true, false])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual([ends, tasks.isRunning("a")], [2, false])
      yield* tasks.start("a", second)
      assert.isTrue(tasks.isRunning("a"))
    })
  )

  it.scoped("let another start as soon as one is stopped", () =>
    Effect.gen(function* () {
      const tasks = yield* Tasks.make<string>(() => {})
      const begun = yield* Deferred.make<void>()
      yield* tasks.start(
        "a",
        Effect.onInterrupt(Effect.never, () => Effect.sleep("1 second"))
      )
      yield* TestClock.adjust(0)
      tasks.stop("a")
      assert.isFalse(tasks.isRunning("a"))
      yield* tasks.start("a", Effect.zipRight(Deferred.succeed(begun, undefined), Effect.never))
      yield* Deferred.await(begun)
      yield* TestClock.adjust("2 seconds")
      assert.isTrue(tasks.isRunning("a"))
    })
  )

  it.effect("are interrupted all at once, and by the end of their scope", () =>
    Effect.gen(function* () {
      const interrupted: Array<string> = []
      const noting = (key: string) => Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted.push(key)))
      yield* Effect.scoped(
        Effect.gen(function* () {
          const tasks = yield* Tasks.make<string>(() => {})
          for (const key of ["a", "b"]) yield* tasks.start(key, noting(key))
          yield* TestClock.adjust(0)
          yield* tasks.stopAll
          assert.deepStrictEqual(interrupted, ["a", "b"])
          yield* tasks.start("c", noting("c"))
          yield* TestClock.adjust(0)
        })
      )
      assert.deepStrictEqual(interrupted, ["a", "b", "c"])
    })
  )
})
