import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Logs from "../src/Logs.js"

/** What a program prints that handles a paid and a declined order, and then meets a defect. */
const printed = (output: Partial<Logs.Output>, level?: string) =>
  Effect.gen(function* () {
    const lines: Array<string> = []
    yield* Effect.gen(function* () {
      yield* Effect.annotateLogs(Effect.logInfo("Metrics served"), { host: "0.0.0.0", port: 8080, path: "/metrics" })
      yield* Effect.annotateLogs(Effect.logInfo("Health served"), { host: "127.0.0.1", port: 8081, path: "/health" })
      yield* Effect.logInfo("Order placed")
      yield* Effect.annotateLogs(Effect.logInfo("Order paid"), { order: "o-1", card: "flaky", attempt: 3 })
      yield* Effect.logError(
        "Handling failed permanently; publishing a dead letter",
        Cause.fail(new Error("the card is stolen"))
      )
      yield* Effect.annotateLogs(Effect.logError("Dead letter needs attention"), {
        eventId: "o-2",
        errorType: "CardDeclined",
        errorMessage: "the card is stolen"
      })
      yield* Effect.annotateLogs(
        Effect.logWarning("The broker can't be reached; retrying", Cause.fail(new Error("ECONNREFUSED"))),
        { broker: "a:9092" }
      )
      yield* Effect.logDebug("details")
      yield* Effect.logError("The consumer failed", Cause.die(new Error("a bug")))
    }).pipe(
      Effect.provide(Logs.layer({ isTTY: false, hasColours: false, print: (line) => lines.push(line), ...output })),
      Effect.withConfigProvider(ConfigProvider.fromMap(new Map(level === undefined ? [] : [["LOG_LEVEL", level]])))
    )
    return lines
  })

describe("the example's log", () => {
  it.effect("in a terminal has a legend, the URLs, a line for each order, and problems", () =>
    Effect.gen(function* () {
      const [legend, ...lines] = yield* printed({ isTTY: true })
      assert.match(legend!, /✓ flaky .*\n/)
      assert.match(legend!, /✗ stolen .*\n/)
      const [defect, ...rest] = lines.toReversed()
      assert.deepStrictEqual(rest.toReversed(), [
        "Metrics http://localhost:8080/metrics",
        "Health  http://127.0.0.1:8081/health",
        "✓ o-1          flaky    paid at attempt 3",
        "✗ o-2          stolen   dead letter: the card is stolen",
        "The broker can't be reached; retrying broker=a:9092 error=ECONNREFUSED"
      ])
      assert.match(defect!, /^The consumer failed\nError: a bug\n +at /)
    })
  )

  it.effect("in a terminal is coloured", () =>
    Effect.gen(function* () {
      const lines = yield* printed({ isTTY: true, hasColours: true })
      assert.isTrue(lines.some((line) => line.startsWith("\u001b[32m✓\u001b[0m o-1")))
    })
  )

  it.effect("elsewhere is structured, with the stacks of defects alone", () =>
    Effect.gen(function* () {
      const lines = yield* printed({})
      assert.strictEqual(lines.length, 8)
      assert.isTrue(lines.every((line) => line.startsWith("timestamp=")))
      assert.deepStrictEqual(
        lines.filter((line) => line.includes("    at ")).map((line) => line.includes("a bug")),
        [true]
      )
      assert.isTrue(lines.some((line) => line.includes("broker=a:9092 error=ECONNREFUSED")))
    })
  )

  for (const isTTY of [true, false]) {
    it.effect(`at debug level is structured and has every stack, with isTTY ${isTTY}`, () =>
      Effect.gen(function* () {
        const lines = yield* printed({ isTTY }, "debug")
        assert.strictEqual(lines.length, 9)
        assert.strictEqual(lines.filter((line) => line.includes("    at ")).length, 3)
      })
    )
  }
})
