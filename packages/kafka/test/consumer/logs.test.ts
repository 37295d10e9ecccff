import { assert, describe, it } from "@effect/vitest"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import { MemoryBroker } from "@spillway/memory/MemoryBroker"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import * as RetryPolicy from "@spillway/transport/RetryPolicy"
import * as Array from "effect/Array"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import { group, onBroker, options, quiet, topic } from "../support/consumerTesting.js"
import { type Line, logged } from "../support/logged.js"

const failures = (lines: ReadonlyArray<Line>) => lines.filter(({ message }) => message.startsWith("Handling failed"))

describe("log lines", () => {
  it.effect("report a consumer's lifecycle at Info, with its service and group", () =>
    logged((lines) =>
      Effect.gen(function* () {
        const consumer = yield* KafkaConsumer.make({ ...options, handler: () => Effect.void })
        yield* consumer.close
        assert.deepStrictEqual(
          lines.map(({ annotations, level, message }) => [
            level,
            message,
            annotations["service"],
            annotations["groupId"]
          ]),
          ["Joined the group", "Draining", "Consumer stopped"].map((message) => ["Info", message, "payments", group])
        )
      }).pipe(Effect.annotateLogs("service", "payments"))
    ).pipe(onBroker({ topics: { [topic]: 1 } }))
  )

  it.effect("stay few while a dependency is down, and count the suppressed ones", () =>
    logged((lines) =>
      Effect.gen(function* () {
        const broker = yield* MemoryBroker
        const failWith = (retries: number, groupId: string) =>
          KafkaConsumer.make({
            ...options,
            groupId,
            retry: RetryPolicy.fixed({ retries, delay: "100 millis" }),
            handler: ({ offset }) => (retries === 0 || offset < 200 ? Effect.fail("the database is down") : Effect.void)
          })
        const suppressed = (kind: ReadonlyArray<Line>) => kind.map(({ annotations }) => annotations["suppressed"])
        const atOnce = yield* failWith(0, "at once")
        yield* broker.produce(
          topic,
          Array.makeBy(10_000, () => ({ value: "secret" }))
        )
        while ((yield* atOnce.report).discarded < 10_000) yield* quiet
        assert.deepStrictEqual(suppressed(failures(lines)), Array.replicate(undefined, 10))
        yield* TestClock.adjust("10 seconds")
        yield* broker.produce(topic, [{ value: "secret" }])
        yield* TestClock.adjust("1 second")
        const givenUp = failures(lines)
        assert.deepStrictEqual(suppressed(givenUp), [...Array.replicate(undefined, 10), 9_990])
        assert.isTrue(
          givenUp.every(
            ({ level, message }) =>
              level === "Error" && message === "Handling failed permanently; discarding the record"
          )
        )

        yield* failWith(1, "in turn")
        yield* TestClock.adjust("30 seconds")
        const retried = failures(lines).filter(({ message }) => message === "Handling failed; retrying")
        assert.isTrue(retried.every(({ level }) => level === "Warning"))
        assert.deepStrictEqual(
          suppressed(retried).filter((count) => count !== undefined),
          [90]
        )
        assert.strictEqual(retried.length, 20)
        assert.isFalse(lines.some(({ text }) => text.includes("secret")))
      })
    ).pipe(onBroker({ topics: { [topic]: 1 } }))
  )

  it.effect("name the record that failed, and contain its content only if so configured", () =>
    logged((lines) =>
      Effect.gen(function* () {
        const broker = yield* MemoryBroker
        const consume = (groupId: string, logPayloads: boolean | undefined) =>
          KafkaConsumer.make({
            ...options,
            groupId,
            logPayloads,
            retry: RetryPolicy.fixed({ retries: 0 }),
            handler: () => Effect.fail(new Error("no")),
            deadLetter: DeadLetter.none("skip")
          })
        yield* consume("silent", undefined)
        yield* consume("telling", true)
        yield* broker.produce(topic, [{ key: "k-1", value: `secret ${"x".repeat(5_000)}` }])
        yield* TestClock.adjust("1 second")
        const [silent, telling] = ["silent", "telling"].map((id) =>
          failures(lines).filter(({ annotations }) => annotations["groupId"] === id)
        )
        const about = {
          topic,
          partition: 0,
          offset: 0,
          eventId: `${topic}-0-0`,
          attempt: 1,
          error: "no",
          errorType: "Error"
        }
        assert.deepStrictEqual(
          silent!.map(({ annotations }) => annotations),
          [{ ...about, groupId: "silent" }]
        )
        assert.notInclude(silent![0]!.text, "secret")
        const value = `secret ${"x".repeat(1_017)}`
        assert.deepStrictEqual(
          telling!.map(({ annotations }) => annotations),
          [{ ...about, groupId: "telling", key: "k-1", value }]
        )
        assert.isTrue(lines.every(({ text }) => !text.includes("\n")))
      })
    ).pipe(onBroker({ topics: { [topic]: 1 } }))
  )
})
