import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as Redacted from "effect/Redacted"
import * as Hostile from "../../../scripts/hostile.js"
import * as HandlerError from "../src/HandlerError.js"
import * as Failure from "../src/runtime/Failure.js"

class CardDeclined extends Data.TaggedError("CardDeclined")<{ readonly card: string }> {}

const failureOf = (cause: Cause.Cause<unknown>) => Failure.failureOf(cause, 2)

describe("HandlerError", () => {
  it("classifies by error", () => {
    const decide = (error: unknown) => HandlerError.classify(failureOf(Cause.fail(error)))
    assert.deepStrictEqual(decide(new HandlerError.NonRetryableError({ cause: "no" })), HandlerError.deadLetter)
    assert.deepStrictEqual(
      decide(new HandlerError.TemporaryError({ cause: "later", delay: "3 seconds" })),
      HandlerError.retry("3 seconds")
    )
    assert.deepStrictEqual(decide(new HandlerError.TemporaryError({ cause: "later" })), HandlerError.retry())
    assert.deepStrictEqual(decide(new Error("any")), HandlerError.retry())
    const hidden = Hostile.unreadable(new HandlerError.NonRetryableError({ cause: "no" }))
    assert.deepStrictEqual(decide(hidden), HandlerError.deadLetter)
  })

  it("finds the typed error before a defect, and a defect before an interruption", () => {
    const interrupt = Cause.interrupt(FiberId.none)
    const cause = Cause.parallel(interrupt, Cause.parallel(Cause.die("defect"), Cause.fail("error")))
    assert.strictEqual(failureOf(cause).error, "error")
    assert.strictEqual(failureOf(Cause.sequential(interrupt, Cause.die("defect"))).error, "defect")
    assert.isTrue(Cause.isInterruptedException(failureOf(interrupt).error))
    assert.strictEqual(failureOf(interrupt).attempt, 2)
  })

  it.effect("fails with errors that catchTag catches", () =>
    Effect.gen(function* () {
      const declined = new CardDeclined({ card: "1" })
      const charge = Effect.if(Effect.succeed(false), {
        onTrue: () => Effect.void,
        onFalse: () => Effect.fail(declined)
      })
      const error = yield* Effect.flip(Effect.catchTag(charge, "CardDeclined", HandlerError.nonRetryable))
      assert.instanceOf(error, HandlerError.NonRetryableError)
      assert.strictEqual(error.cause, declined)
      const temporary = yield* Effect.flip(HandlerError.temporary("busy", "1 second"))
      assert.strictEqual(temporary.message, "busy")
      assert.strictEqual(temporary.delay, "1 second")
    })
  )

  it("describes any value", () => {
    const cyclic: { self?: unknown } = {}
    cyclic.self = cyclic
    const rows: ReadonlyArray<readonly [unknown, message: string, type: string]> = [
      [new TypeError("bad"), "bad", "TypeError"],
      [new CardDeclined({ card: "1" }), "CardDeclined", "CardDeclined"],
      [new HandlerError.NonRetryableError({ cause: new RangeError("far") }), "far", "RangeError"],
      [new HandlerError.TemporaryError({ cause: new CardDeclined({ card: "1" }) }), "CardDeclined", "CardDeclined"],
      [new HandlerError.TemporaryError({ cause: "busy" }), "busy", "TemporaryError"],
      [{ _tag: "Plain" }, "Plain", "Plain"],
      [{ code: 1 }, '{"code":1}', "object"],
      ["text", "text", "string"],
      [undefined, "undefined", "undefined"],
      [null, "null", "object"],
      [1n, "1n", "bigint"],
      [
        { id: 1n, at: new Date(0), f: () => {}, list: [1, undefined] },
        '{"id":1n,"at":"1970-01-01T00:00:00.000Z","list":[1,null]}',
        "object"
      ],
      [cyclic, '{"self":[circular]}', "object"],
      [Object.create(null, { _tag: { value: Object.create(null) } }), "{}", "object"],
      [new AggregateError([new Error("one"), new Error("two")]), "one, two", "AggregateError"],
      [Hostile.unreadable(new HandlerError.NonRetryableError({ cause: "no" })), "undefined", "Error"],
      [Redacted.make("secret"), '"<redacted>"', "object"]
    ]
    for (const [error, message, type] of rows) {
      assert.strictEqual(HandlerError.messageOf(error), message)
      assert.strictEqual(HandlerError.typeOf(error), type)
    }
  })
})
