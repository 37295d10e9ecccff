import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Hostile from "../../../../scripts/hostile.js"
import { ConsumerError } from "../../src/Consumer.js"
import * as HandlerError from "../../src/HandlerError.js"
import type * as Headers from "../../src/Headers.js"
import * as DeadLetters from "../../src/runtime/DeadLetter.js"
import * as Diagnosis from "../../src/runtime/Diagnosis.js"
import { failureOf } from "../../src/runtime/Failure.js"
import * as Logging from "../../src/runtime/Logging.js"
import { source } from "../support/processor.js"

const kilobytes = (text: string): number => Buffer.byteLength(text) / 1_000

/** Long enough for the largest value on a busy machine. */
const soon = 5_000

const loggers: Readonly<Record<string, Logger.Logger<unknown, unknown>>> = {
  string: Logger.stringLogger,
  logfmt: Logger.logfmtLogger,
  json: Logger.jsonLogger,
  structured: Logger.structuredLogger
}

const timed = <A>(f: () => A): A => {
  const start = performance.now()
  const result = f()
  assert.isBelow(performance.now() - start, soon)
  return result
}

describe("A failure that is hard to render", () => {
  for (const [name, make] of Object.entries(Hostile.errors)) {
    it(`has a type, a message and a stack: ${name}`, () => {
      const error = make()
      for (const wrapped of [error, new HandlerError.TemporaryError({ cause: error })]) {
        const type = timed(() => HandlerError.typeOf(wrapped))
        assert.isTrue(type !== "" && type.length <= 200, type)
        const message = timed(() => HandlerError.messageOf(wrapped))
        assert.isTrue(message !== "" && message.length <= 4_096, message)
        assert.isString(timed(() => HandlerError.stackOf(wrapped)))
      }
    })

    it(`makes a dead letter: ${name}`, () => {
      const failed = { record: source, error: make(), attempts: 1, failedAt: 0, groupId: "billing" }
      const headers = { errorStack: "stack" }
      const { headers: written } = timed(() => DeadLetters.record(failed, { topic: "dlq", headers }))
      const sizes = (written as Headers.Headers).map(([, value]) => value?.length ?? 0)
      assert.isBelow(Math.max(...sizes), 3 * 4_096 + 1)
    })

    it(`can be carried by an error that loggers render: ${name}`, () => {
      const cause = timed(() => Diagnosis.carried(make()))
      const error = new ConsumerError({ reason: "HandlingFailed", groupId: "billing", description: "", cause })
      const text = timed(() => Cause.pretty(Cause.fail(error), { renderErrorCause: true }))
      assert.isBelow(kilobytes(text), 100)
    })
  }

  for (const [name, make] of Object.entries(Hostile.causes)) {
    it(`is described: ${name}`, () => {
      const cause = make()
      const text = timed(() => Diagnosis.describe(cause))
      assert.isBelow(kilobytes(text), 30)
      assert.notStrictEqual(text, "")
      assert.isTrue(timed(() => failureOf(cause, 1)).attempt === 1)
    })

    for (const [by, logger] of Object.entries(loggers)) {
      it(`is logged by the ${by} logger: ${name}`, () => {
        const lines: Array<string> = []
        const keep = Logger.map(logger, (line) => {
          lines.push(typeof line === "string" ? line : JSON.stringify(line))
        })
        const write = Logging.log(LogLevel.Error, "Failed", { a: 1 }, make())
        timed(() => Effect.runSync(Effect.provide(write, Logger.replace(Logger.defaultLogger, keep))))
        assert.strictEqual(lines.length, 1)
        assert.isBelow(kilobytes(lines[0]!), 32)
      })
    }
  }
})

describe("Diagnosis", () => {
  const pretty = (cause: Cause.Cause<unknown>) => Cause.pretty(cause, { renderErrorCause: true })

  it("shows a plain failure as Effect does: name, message, stack and causes", () => {
    const inner = new TypeError("inner")
    const outer = new Error("outer", { cause: inner })
    for (const cause of [Cause.fail(outer), Cause.parallel(Cause.fail(inner), Cause.die(outer)), Cause.fail("text")]) {
      assert.strictEqual(Diagnosis.describe(cause), pretty(cause))
    }
  })

  it.effect("shows the spans of an error", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(Effect.withSpan(Effect.fail(new Error("spanned")), "charge"))
      const cause = Exit.isFailure(exit) ? exit.cause : assert.fail("succeeded")
      assert.include(Diagnosis.describe(cause), "at charge (")
      assert.strictEqual(Diagnosis.describe(cause), pretty(cause))
    })
  )

  it("counts the omitted errors", () => {
    const causes = Array.from({ length: 12 }, (_, i) => Cause.fail(`error ${i}`) as Cause.Cause<string>)
    const text = Diagnosis.describe(causes.reduce(Cause.parallel))
    assert.include(text, "error 4")
    assert.notInclude(text, "error 5")
    assert.include(text, "7 more errors")
  })

  it("keeps an interruption", () => {
    const interruption = Cause.sequential(Cause.empty, Cause.interrupt(FiberId.none))
    assert.isTrue(Cause.isInterruptedOnly(Diagnosis.renderable(interruption)))
  })

  it("carries a renderable error unchanged", () => {
    const tagged = { _tag: "NotFound", id: 7 }
    for (const error of [new Error("plain", { cause: tagged }), tagged, "text", 7, undefined, Duration.seconds(1)]) {
      assert.strictEqual(Diagnosis.carried(error), error)
    }
  })
})

describe("Logging.log", () => {
  it.effect("loses a line that a logger throws on, and nothing else", () =>
    Effect.gen(function* () {
      const broken = Logger.make(() => {
        throw new Error("the disk is full")
      })
      yield* Effect.provide(Logging.log(LogLevel.Info, "line", {}), Logger.add(broken))
      assert.strictEqual(yield* Clock.currentTimeMillis, 0)
    })
  )

  it.effect("renders no cause for a line below the log level", () =>
    Effect.gen(function* () {
      let reads = 0
      const error = Object.defineProperty(new Error("x"), "message", { get: () => `read ${++reads}` })
      yield* Logging.log(LogLevel.Debug, "line", {}, Cause.fail(error))
      assert.strictEqual(reads, 0)
    })
  )
})
