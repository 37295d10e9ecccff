import { assert, describe, it } from "@effect/vitest"
import * as Concurrency from "@spillway/transport/runtime/Concurrency"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import { survives } from "../../../../scripts/interrupting.js"

const never = Effect.flatMap(Deferred.make<void>(), Deferred.await)

/** An effect that never ends by itself and takes a second to be interrupted, and whether it has ended. */
const slowToEnd = () => {
  const state = { ended: false }
  const end = Effect.zipRight(
    Effect.sleep("1 second"),
    Effect.sync(() => {
      state.ended = true
    })
  )
  return { state, effect: Effect.ensuring(never, end) }
}

describe("raceFirst", () => {
  it("ends whenever it is interrupted", () => {
    assert.isUndefined(survives(Concurrency.raceFirst(never, never)))
    assert.isUndefined(survives(Effect.scoped(Concurrency.raceFirst(Effect.zipRight(Effect.scope, never), never))))
  })

  it("ends whenever it is interrupted, even as one of the two ends", () => {
    assert.isUndefined(
      survives(Effect.zipRight(Concurrency.raceFirst(Effect.void, never), Concurrency.raceFirst(never, never)))
    )
  })

  it.effect("ends with the first to end, once the other has ended", () =>
    Effect.gen(function* () {
      for (const winner of [Effect.succeed("won"), Effect.fail("lost"), Effect.die("broke")]) {
        const { effect, state } = slowToEnd()
        const late = Effect.zipRight(Effect.sleep("1 second"), winner)
        for (const race of [Concurrency.raceFirst(late, effect), Concurrency.raceFirst(effect, late)]) {
          state.ended = false
          const racing = yield* Effect.fork(Effect.exit(race))
          yield* TestClock.adjust("1999 millis")
          assert.isNull(racing.unsafePoll())
          yield* TestClock.adjust("1 millis")
          assert.deepStrictEqual(yield* Fiber.join(racing), yield* Effect.exit(winner))
          assert.isTrue(state.ended)
        }
      }
    })
  )

  it.effect("interrupts both, and awaits their ends", () =>
    Effect.gen(function* () {
      const [one, other] = [slowToEnd(), slowToEnd()]
      const racing = yield* Effect.fork(Concurrency.raceFirst(one.effect, other.effect))
      yield* TestClock.adjust(0)
      const stopping = yield* Effect.fork(Fiber.interrupt(racing))
      yield* TestClock.adjust("1 second")
      assert.isTrue(Exit.isInterrupted(yield* Fiber.join(stopping)))
      assert.isTrue(one.state.ended && other.state.ended)
    })
  )

  it.effect("keeps the winner's changes, and logs no failure as unhandled", () =>
    Effect.gen(function* () {
      const lines: Array<unknown> = []
      const ref = FiberRef.unsafeMake(0)
      const racing = Concurrency.raceFirst(Effect.zipRight(FiberRef.set(ref, 1), Effect.fail("failed")), never)
      yield* Effect.flip(racing).pipe(
        Logger.withMinimumLogLevel(LogLevel.All),
        Effect.provide(
          Logger.replace(
            Logger.defaultLogger,
            Logger.make(({ message }) => lines.push(message))
          )
        )
      )
      assert.deepStrictEqual(lines, [])
      assert.strictEqual(yield* FiberRef.get(ref), 1)
    })
  )
})

describe("timeoutOption", () => {
  it("ends whenever it is interrupted", () => {
    assert.isUndefined(survives(Concurrency.timeoutOption(never, "1 hour")))
  })

  it.effect("returns the value if the effect ends in time, and none once it has interrupted it", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* Concurrency.timeoutOption(Effect.succeed(1), "1 second"), Option.some(1))
      const { effect, state } = slowToEnd()
      const timed = yield* Effect.fork(Concurrency.timeoutOption(effect, "2 seconds"))
      yield* TestClock.adjust("2999 millis")
      assert.isNull(timed.unsafePoll())
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* Fiber.join(timed), Option.none())
      assert.isTrue(state.ended)
    })
  )

  it.effect("limits an interruptible effect where nothing else can be interrupted", () =>
    Effect.gen(function* () {
      const timed = yield* Effect.fork(
        Effect.uninterruptible(Concurrency.timeoutOption(Effect.interruptible(never), "1 second"))
      )
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.join(timed), Option.none())
    })
  )
})

describe("timeoutFail", () => {
  it("ends whenever it is interrupted", () => {
    assert.isUndefined(survives(Concurrency.timeoutFail(never, { duration: "1 hour", onTimeout: () => "late" })))
  })

  it.effect("fails when it takes too long", () =>
    Effect.gen(function* () {
      const late = { duration: "1 second", onTimeout: () => "late" } as const
      assert.strictEqual(yield* Concurrency.timeoutFail(Effect.succeed(1), late), 1)
      assert.strictEqual(yield* Effect.flip(Concurrency.timeoutFail(Effect.fail("early"), late)), "early")
      const timed = yield* Effect.fork(Effect.flip(Concurrency.timeoutFail(never, late)))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(timed), "late")
    })
  )
})
