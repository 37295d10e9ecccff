import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as CircuitBreaker from "../../src/runtime/CircuitBreaker.js"
import { failureOf } from "../../src/runtime/Failure.js"
import { unevenly } from "../support/unevenClock.js"

const failure = failureOf(Cause.fail("down"), 1)

const quick = CircuitBreaker.check({ window: { count: 2 }, minimumThroughput: 2, openTime: "1 second" }).settings

describe("circuit breaker", () => {
  it("has the documented defaults", () => {
    const { issues, settings } = CircuitBreaker.check({})
    assert.deepStrictEqual(issues, [])
    const { isFailure, ...rest } = settings
    assert.isTrue(isFailure(failure))
    assert.deepStrictEqual(rest, {
      window: { _tag: "Count", count: 20 },
      failureRatio: 0.5,
      minimumThroughput: 10,
      openMillis: 5_000,
      factor: 2,
      maxOpenMillis: 30_000,
      probes: 1
    })
    assert.deepStrictEqual(CircuitBreaker.check({ window: { time: "10 seconds" } }).settings.window, {
      _tag: "Time",
      millis: 10_000
    })
  })

  it("reports all invalid options at once", () => {
    const { issues } = CircuitBreaker.check({
      window: { count: 0 },
      failureRatio: 1.5,
      minimumThroughput: 2.5,
      openTime: "-1 second",
      factor: 0.5,
      maxOpenTime: "soon" as never,
      probes: Number.NaN
    })
    assert.deepStrictEqual(
      issues.map(({ field, value }) => [field, value]),
      [
        ["window.count", 0],
        ["failureRatio", 1.5],
        ["minimumThroughput", 2.5],
        ["openTime", "-1 second"],
        ["factor", 0.5],
        ["maxOpenTime", "soon"],
        ["probes", Number.NaN]
      ]
    )
    assert.deepStrictEqual(
      CircuitBreaker.check({ window: { time: 0 } }).issues.map(({ field }) => field),
      ["window.time"]
    )
    assert.deepStrictEqual(CircuitBreaker.check({ minimumThroughput: 21 }).issues, [
      { field: "minimumThroughput", value: 21, description: "must not be above window.count (20)" }
    ])
  })

  it.scoped("reports when a call may begin, and each change, until its scope closes", () =>
    Effect.gen(function* () {
      let admissions = 0
      const scope = yield* Scope.make()
      const breaker = yield* Scope.extend(
        CircuitBreaker.make(quick, () => {
          admissions++
        }),
        scope
      )
      const seen = yield* Effect.fork(Stream.runCollect(breaker.changes))
      yield* TestClock.adjust(0)
      const [one, other] = [breaker.caller(), breaker.caller()]
      assert.isTrue(one.enter() && other.enter())
      assert.isFalse(one.failed(failure))
      assert.isTrue(other.failed(failure))
      assert.isFalse(one.enter() || one.isAdmitted())
      yield* TestClock.adjust("999 millis")
      assert.strictEqual(yield* breaker.state, "open")
      assert.strictEqual(admissions, 0)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(breaker.now(), "halfOpen")
      assert.strictEqual(admissions, 1)
      assert.isTrue(one.enter())
      assert.isFalse(other.enter())
      one.ignored()
      one.ignored()
      assert.strictEqual(admissions, 2)
      assert.isTrue(other.enter())
      other.succeeded()
      assert.strictEqual(breaker.now(), "closed")
      assert.strictEqual(admissions, 3)
      yield* TestClock.adjust(0)
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(Chunk.toReadonlyArray(yield* Fiber.join(seen)), ["closed", "open", "halfOpen", "closed"])
    })
  )

  it.scoped("ignores failures that don't count, and counts a failure if the predicate throws", () =>
    Effect.gen(function* () {
      const breaker = yield* CircuitBreaker.make(
        {
          ...quick,
          isFailure: ({ error }) => {
            if (error === "odd") throw new Error("the predicate failed")
            return error === "down"
          }
        },
        () => {}
      )
      const caller = breaker.caller()
      const fail = (error: string) => {
        caller.enter()
        return caller.failed(failureOf(Cause.fail(error), 1))
      }
      assert.deepStrictEqual(["mine", "mine", "mine", "down", "odd"].map(fail), [false, false, false, false, true])
      assert.strictEqual(breaker.now(), "open")
      assert.isFalse(fail("mine"))
      assert.isTrue(fail("down"))
    })
  )
})

describe("circuit breaker on an uneven clock", () => {
  const short = CircuitBreaker.check({
    window: { count: 1 },
    minimumThroughput: 1,
    openTime: "20 millis",
    maxOpenTime: "20 millis",
    factor: 1
  }).settings

  /** Opens a breaker, then fails every probe that it admits; counts them. */
  const failing = Effect.fnUntraced(function* (settings: CircuitBreaker.CircuitBreakerSettings) {
    const probes = { count: 0 }
    const breaker: CircuitBreaker.CircuitBreakerRuntime = yield* CircuitBreaker.make(settings, () => {
      if (!caller.enter()) return
      probes.count++
      caller.failed(failure)
    })
    const caller = breaker.caller()
    assert.isTrue(caller.enter())
    caller.failed(failure)
    return { breaker, probes }
  })

  it.scoped("admits a probe each time the open time is over, though timers fire early", () =>
    unevenly(() =>
      Effect.gen(function* () {
        const { breaker, probes } = yield* failing(short)
        yield* TestClock.adjust("1 second")
        assert.strictEqual(breaker.now(), "open")
        assert.strictEqual(probes.count, 50)
      })
    )
  )

  it.scoped("stays open for the open time, though the wall clock steps", () =>
    unevenly((step) =>
      Effect.gen(function* () {
        const { probes } = yield* failing({ ...short, openMillis: 1_000, maxOpenMillis: 1_000 })
        for (const [index, millis] of [-5, 3_600_000, -7_200_000, 500].entries()) {
          yield* TestClock.adjust("500 millis")
          step(millis)
          yield* TestClock.adjust("499 millis")
          assert.strictEqual(probes.count, index)
          yield* TestClock.adjust("1 millis")
          assert.strictEqual(probes.count, index + 1)
        }
      })
    )
  )

  it.scoped("forgets calls before its time window, though the wall clock was set back", () =>
    unevenly((step) =>
      Effect.gen(function* () {
        const { settings } = CircuitBreaker.check({ window: { time: "10 seconds" }, minimumThroughput: 2 })
        const breaker = yield* CircuitBreaker.make(settings, () => {})
        const caller = breaker.caller()
        const fail = () => caller.enter() && caller.failed(failure)
        yield* TestClock.adjust("1 hour")
        assert.isFalse(fail())
        step(-3_600_000)
        yield* TestClock.adjust("11 seconds")
        assert.isFalse(fail())
        assert.isTrue(fail())
      })
    )
  )
})
