import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import * as Logger from "effect/Logger"
import * as TestClock from "effect/TestClock"
import * as Logging from "../../src/runtime/Logging.js"
import { unevenly } from "../support/unevenClock.js"

describe("limited", () => {
  it.effect("passes a limited number of lines per interval and reports the dropped count on the next", () => {
    const lines: Array<unknown> = []
    const logger = Logger.make(({ annotations }) => {
      lines.push(HashMap.get(annotations, "suppressed").pipe((found) => (found._tag === "Some" ? found.value : 0)))
    })
    return Effect.gen(function* () {
      const pass = Logging.limited({ lines: 3, every: "10 seconds" })
      const write = (times: number) => Effect.repeatN(pass(Effect.logWarning("line")), times - 1)
      yield* write(3)
      assert.deepStrictEqual(lines, [0, 0, 0])
      yield* write(100)
      yield* TestClock.adjust("9999 millis")
      yield* write(1)
      assert.strictEqual(lines.length, 3)
      yield* TestClock.adjust("1 millis")
      yield* write(5)
      assert.deepStrictEqual(lines.slice(3), [101, 0, 0])
      yield* TestClock.adjust("1 hour")
      yield* write(2)
      assert.deepStrictEqual(lines.slice(6), [2, 0])
    }).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
  })

  it.effect("limits each kind separately", () => {
    const lines: Array<unknown> = []
    const logger = Logger.make(({ message }) => void lines.push(String(message)))
    return Effect.gen(function* () {
      const first = Logging.limited({ lines: 1, every: "1 second" })
      const second = Logging.limited({ lines: 1, every: "1 second" })
      yield* Effect.all([first(Effect.logInfo("a")), first(Effect.logInfo("a")), second(Effect.logInfo("b"))])
      assert.deepStrictEqual(lines, ["a", "b"])
    }).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
  })

  it.effect("measures its interval though the wall clock was set", () => {
    const lines: Array<unknown> = []
    const logger = Logger.make(({ message }) => void lines.push(String(message)))
    return unevenly((step) =>
      Effect.gen(function* () {
        const pass = Logging.limited({ lines: 1, every: "10 seconds" })
        yield* TestClock.adjust("2 hours")
        yield* pass(Effect.logInfo("first"))
        step(-3_600_000)
        yield* TestClock.adjust("10 seconds")
        yield* pass(Effect.logInfo("after a step back"))
        step(7_200_000)
        yield* pass(Effect.logInfo("dropped"))
        yield* TestClock.adjust("10 seconds")
        yield* pass(Effect.logInfo("after a step forward"))
        assert.deepStrictEqual(lines, ["first", "after a step back", "after a step forward"])
      })
    ).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
  })
})
