import { assert, describe, it } from "@effect/vitest"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import { KafkaErrorCode } from "@spillway/kafka/KafkaErrorCode"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import type { Api } from "@spillway/kafka/Protocol"
import { Wire } from "@spillway/kafka/Wire"
import * as Faults from "@spillway/memory/Faults"
import { MemoryBroker } from "@spillway/memory/MemoryBroker"
import { Health, make as makeHealth } from "@spillway/transport/Health"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { onBroker, options, topic } from "../support/consumerTesting.js"
import { type Line, logged } from "../support/logged.js"

const topics = { [topic]: 1 }

const faults = {
  "is never answered": { _tag: "LoseRequest" },
  "is always refused": { _tag: "Answer", code: KafkaErrorCode.UNKNOWN_SERVER_ERROR, when: "instead" },
  "reaches no broker": { _tag: "Refuse" }
} as const satisfies Record<string, Faults.Fault>

type Kind = keyof typeof faults

/** Faults from second 10 to second 150 of a test. */
const faulty = (kind: Kind, apis: ReadonlyArray<Api>) =>
  Effect.flatMap(Wire, (wire) =>
    Faults.wrap(wire, {
      seed: 1,
      rules: [
        {
          fault: faults[kind],
          from: "10 seconds",
          until: "150 seconds",
          ...(kind === "reaches no broker" ? {} : { apis })
        }
      ]
    })
  )

const retries = (health: Health["Type"]) =>
  Effect.map(health.report, ({ components }) =>
    Object.values(components).flatMap(({ checks }) => {
      const { details, state } = checks["retries"]!
      return state === "retrying" ? [details] : []
    })
  )

/** The lines about an operation, which fails from second 10 to second 150. */
const observe = (lines: ReadonlyArray<Line>, operation: string, error: RegExp) =>
  Effect.gen(function* () {
    const health = yield* Health
    const of = (level: Line["level"]) =>
      lines.filter((line) => line.level === level && line.annotations["operation"] === operation)
    yield* TestClock.adjust("38 seconds")
    assert.strictEqual(of("Warning").length, 1, "the first warning")
    yield* TestClock.adjust("90 seconds")
    const warnings = of("Warning")
    assert.isAtLeast(warnings.length, 2, "repeated")
    assert.isAtMost(warnings.length, 4, "few")
    for (const { annotations, message } of warnings) {
      assert.strictEqual(message, "An operation keeps failing; retrying")
      assert.match(String(annotations["error"]), error)
      assert.isAbove(annotations["attempts"] as number, 0)
      assert.isAtLeast(annotations["seconds"] as number, 10)
    }
    assert.isNotEmpty(yield* retries(health))
    assert.isEmpty(of("Info"))
    yield* TestClock.adjust("80 seconds")
    assert.deepStrictEqual(
      of("Info").map(({ message }) => message),
      ["The operation succeeds again"]
    )
    assert.isEmpty(yield* retries(health))
  })

interface Row {
  readonly api: Api
  readonly kinds: ReadonlyArray<Kind>
  readonly operation: string
  /** Matches the error, by kind of fault. */
  readonly error: RegExp
}

const rows: ReadonlyArray<Row> = [
  {
    api: "Metadata",
    kinds: ["is never answered", "reaches no broker"],
    operation: "Metadata",
    error: /Timeout|ConnectFailed/
  },
  {
    api: "FindCoordinator",
    kinds: ["is never answered", "is always refused"],
    operation: "JoinGroup",
    error: /FindCoordinator/
  },
  { api: "JoinGroup", kinds: ["is never answered", "is always refused"], operation: "JoinGroup", error: /JoinGroup/ },
  { api: "SyncGroup", kinds: ["is never answered", "is always refused"], operation: "JoinGroup", error: /SyncGroup/ },
  {
    api: "OffsetFetch",
    kinds: ["is never answered", "is always refused"],
    operation: "OffsetFetch",
    error: /OffsetFetch/
  },
  {
    api: "ListOffsets",
    kinds: ["is never answered", "is always refused"],
    operation: "ListOffsets",
    error: /ListOffsets/
  }
]

describe("a consumer that starts while", () => {
  for (const { api, error, kinds, operation } of rows) {
    for (const kind of kinds) {
      it.effect(`${api} ${kind} warns at intervals, and reports the recovery`, () =>
        logged((lines) =>
          Effect.gen(function* () {
            const wire = yield* faulty(kind, [api])
            yield* TestClock.adjust("10 seconds")
            const starting = yield* Effect.fork(
              KafkaConsumer.make({ ...options, handler: () => Effect.void }).pipe(Effect.provideService(Wire, wire))
            )
            yield* observe(lines, operation, error)
            assert.strictEqual(yield* (yield* Fiber.join(starting)).status, "Running")
            assert.isEmpty(
              lines.filter(({ annotations, level }) => level === "Warning" && annotations["operation"] === "Heartbeat"),
              "heartbeats don't wait behind it"
            )
          }).pipe(Effect.provideServiceEffect(Health, makeHealth()))
        ).pipe(onBroker({ topics }))
      )
    }
  }
})

describe("a consumer that runs while", () => {
  for (const api of ["Heartbeat", "OffsetCommit", "Fetch"] as const) {
    for (const kind of ["is never answered", "is always refused"] as const) {
      it.effect(`${api} ${kind} warns at intervals, and reports the recovery`, () =>
        logged((lines) =>
          Effect.gen(function* () {
            const broker = yield* MemoryBroker
            const wire = yield* faulty(kind, [api])
            yield* KafkaConsumer.make({ ...options, sessionTimeout: "5 minutes", handler: () => Effect.void }).pipe(
              Effect.provideService(Wire, wire)
            )
            yield* TestClock.adjust("10 seconds")
            yield* broker.produce(topic, [{ value: "a" }])
            yield* observe(lines, api, new RegExp(api))
          }).pipe(Effect.provideServiceEffect(Health, makeHealth()))
        ).pipe(onBroker({ topics }))
      )
    }
  }
})

describe("a producer that sends while", () => {
  for (const api of ["InitProducerId", "Produce"] as const) {
    it.effect(`${api} is never answered warns at intervals, and reports the recovery`, () =>
      logged((lines) =>
        Effect.gen(function* () {
          const wire = yield* faulty("is never answered", [api])
          const producer = yield* KafkaProducer.make({ deliveryTimeout: "5 minutes" }).pipe(
            Effect.provideService(Wire, wire)
          )
          yield* TestClock.adjust("10 seconds")
          const sending = yield* Effect.fork(producer.send({ topic, value: Buffer.from("a") }))
          yield* observe(lines, api, new RegExp(api))
          yield* Fiber.join(sending)
        }).pipe(Effect.provideServiceEffect(Health, makeHealth()))
      ).pipe(onBroker({ topics }))
    )
  }
})
