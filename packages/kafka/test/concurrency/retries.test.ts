import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import * as Retries from "../../src/internal/concurrency/retries.js"
import { logged } from "../support/logged.js"

describe("long retries", () => {
  it.effect("are logged after ten seconds, then every thirty, and once at their end", () =>
    logged((lines) =>
      Effect.gen(function* () {
        const retries = yield* Retries.make({ groupId: "billing" })
        const retry = retries.of("JoinGroup")
        for (let second = 0; second < 75; second++) {
          yield* retry.failed(`no answer (${second})`)
          yield* TestClock.adjust("1 second")
        }
        yield* retry.succeeded
        yield* retry.succeeded
        assert.deepStrictEqual(
          lines.map(({ annotations, level, message }) => [level, message, annotations]),
          [
            ...[10, 40, 70].map((seconds) => [
              "Warning",
              "An operation keeps failing; retrying",
              {
                groupId: "billing",
                operation: "JoinGroup",
                attempts: seconds + 1,
                seconds,
                error: `no answer (${seconds})`
              }
            ]),
            ["Info", "The operation succeeds again", { groupId: "billing", operation: "JoinGroup", seconds: 75 }]
          ]
        )
      })
    )
  )

  it.effect("of many partitions are one line, and show in health", () =>
    logged((lines) =>
      Effect.gen(function* () {
        const retries = yield* Retries.make()
        const partitions = Array.from({ length: 1_000 }, (_, partition) => retries.of("Fetch", `orders-${partition}`))
        for (let second = 0; second < 60; second++) {
          for (const partition of partitions) yield* partition.failed(new Error("KAFKA_STORAGE_ERROR"))
          yield* TestClock.adjust("1 second")
        }
        assert.deepStrictEqual(
          lines.map(({ annotations }) => [annotations["seconds"], annotations["count"]]),
          [
            [10, 1_000],
            [40, 1_000]
          ]
        )
        const [lasting, ...others] = retries.lasting()
        assert.strictEqual(others.length, 0)
        assert.deepInclude(lasting, { operation: "Fetch", count: 1_000, attempts: 60, error: "KAFKA_STORAGE_ERROR" })
        assert.strictEqual(lasting!.subjects.length, 10)
        for (const partition of partitions) yield* partition.succeeded
        assert.deepStrictEqual(
          lines.slice(2).map(({ message }) => message),
          ["The operation succeeds again"]
        )
        assert.deepStrictEqual(retries.lasting(), [])
      })
    )
  )

  it.effect("that end without success are over with a line of their own, if they were logged", () =>
    logged((lines) =>
      Effect.gen(function* () {
        const retries = yield* Retries.make({ groupId: "billing" })
        const retry = retries.of("Heartbeat")
        yield* retry.failed("no answer")
        retry.dropped()
        yield* retry.failed("no answer")
        yield* TestClock.adjust("12 seconds")
        yield* retry.failed("no answer")
        retry.dropped()
        yield* Effect.yieldNow()
        assert.deepStrictEqual(
          lines.map(({ annotations, level, message }) => [level, message, annotations["seconds"]]),
          [
            ["Warning", "An operation keeps failing; retrying", 12],
            ["Info", "The operation is no longer retried", 12]
          ]
        )
        assert.deepStrictEqual(retries.lasting(), [])
      })
    )
  )

  it.effect("of a hundred clients are few lines", () =>
    logged((lines) =>
      Effect.gen(function* () {
        const clients = yield* Effect.replicateEffect(Retries.make(), 100)
        for (let second = 0; second < 12; second++) {
          for (const client of clients) yield* client.of("JoinGroup").failed("no answer")
          yield* TestClock.adjust("1 second")
        }
        assert.strictEqual(lines.length, 10)
      })
    )
  )

  it.effect("are not logged if brief, dropped, interrupted, or not repeated", () =>
    logged((lines) =>
      Effect.gen(function* () {
        const retries = yield* Retries.make()
        const brief = retries.of("Heartbeat")
        for (let i = 0; i < 5; i++) {
          yield* brief.failed("no answer")
          yield* TestClock.adjust("9 seconds")
          yield* brief.succeeded
        }
        const dropped = retries.of("OffsetCommit")
        yield* dropped.failed("no answer")
        dropped.dropped()
        yield* TestClock.adjust("1 minute")
        yield* dropped.failed("no answer")
        const interrupted = yield* Effect.fork(
          retries.during("ListOffsets", "orders-0", (retry) => Effect.zipRight(retry.failed("no leader"), Effect.never))
        )
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(
          retries.lasting().map(({ operation, subjects }) => [operation, ...subjects]),
          [["OffsetCommit"], ["ListOffsets", "orders-0"]]
        )
        yield* interrupted.interruptAsFork(interrupted.id())
        yield* TestClock.adjust("5 minutes")
        assert.deepStrictEqual(retries.lasting(), [])
        assert.deepStrictEqual(lines, [])
      })
    )
  )
})
