import { assert, describe, it } from "@effect/vitest"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import type { Wire } from "@spillway/kafka/Wire"
import { MemoryBroker } from "@spillway/memory/MemoryBroker"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import * as Health from "@spillway/transport/Health"
import * as RetryPolicy from "@spillway/transport/RetryPolicy"
import * as TransportMetrics from "@spillway/transport/TransportMetrics"
import * as TransportTracing from "@spillway/transport/TransportTracing"
import * as Array from "effect/Array"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
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
          ["Consumer starting", "Joined the group", "Draining", "Consumer stopped"].map((message) => [
            "Info",
            message,
            "payments",
            group
          ])
        )
      }).pipe(Effect.annotateLogs("service", "payments"))
    ).pipe(onBroker({ topics: { [topic]: 1 } }))
  )

  it.effect("report at the start whether metrics, tracing and health are on", () =>
    logged((lines) =>
      Effect.gen(function* () {
        const Main = Layer.mergeAll(
          KafkaConsumer.layer({ ...options, handler: () => Effect.void }),
          KafkaConsumer.layer({ ...options, groupId: "uncounted", metrics: false, handler: () => Effect.void }),
          KafkaProducer.layer(),
          KafkaProducer.layerTransactional({ transactionalId: "billing-1" })
        )
        const Everything = Layer.mergeAll(
          TransportMetrics.layer({ service: "starting" }),
          TransportTracing.layer(),
          Health.layer()
        )
        const started = (layer: Layer.Layer<never, unknown, Wire>) =>
          Effect.gen(function* () {
            const before = lines.length
            yield* Effect.scoped(Layer.build(layer))
            return lines
              .slice(before)
              .filter(({ level, message }) => level === "Info" && message.endsWith(" starting"))
              .map(({ annotations, message }) => [message, annotations])
          })
        const all = (state: "on" | "off", uncounted: "on" | "off") => {
          const states = { metrics: state, tracing: state, health: state }
          return [
            ["Consumer starting", { groupId: group, topics: topic, ...states }],
            ["Consumer starting", { groupId: "uncounted", topics: topic, ...states, metrics: uncounted }],
            ["Producer starting", states],
            ["Producer starting", { transactionalId: "billing-1", ...states }]
          ]
        }
        assert.sameDeepMembers(yield* started(Layer.merge(Layer.discard(Main), Everything)), all("off", "off"))
        assert.sameDeepMembers(yield* started(Layer.provide(Layer.discard(Main), Everything)), all("on", "off"))
      })
    ).pipe(onBroker({ topics: { [topic]: 1 } }))
  )

  it.effect("say that a transactional consumer starts, and not its producer", () =>
    logged((lines) =>
      Effect.gen(function* () {
        yield* KafkaConsumer.makeTransactional({
          ...options,
          topics: /^orders$/,
          transactionalId: "billing-1",
          handler: () => Effect.succeed([])
        })
        const states = { metrics: "off", tracing: "off", health: "off" }
        assert.deepStrictEqual(
          lines
            .filter(({ message }) => message.endsWith(" starting"))
            .map(({ annotations, message }) => [message, annotations]),
          [["Consumer starting", { groupId: group, topics: "/^orders$/", ...states }]]
        )
      })
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
