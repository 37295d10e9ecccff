import { assert, it } from "@effect/vitest"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import { type Endpoint, Wire, WireError } from "@spillway/kafka/Wire"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import { Producer } from "@spillway/transport/Producer"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as TestClock from "effect/TestClock"
import { describe } from "vitest"
import * as KafkaConsumer from "../../src/KafkaConsumer.js"
import { onBroker, options, topic } from "../support/consumerTesting.js"

/** Renders each line, and drops it. */
const json = Logger.map(Logger.jsonLogger, () => {})

describe("A consumer", () => {
  it.effect("fails when its credentials are refused on a fetch connection, and doesn't retry forever", () =>
    Effect.gen(function* () {
      const wire = yield* Wire
      const refusing = Wire.of({
        ...wire,
        connect: (endpoint, role) =>
          role === "fetch"
            ? Effect.fail(
                new WireError({
                  reason: "Authentication",
                  endpoint: `${endpoint.host}:${endpoint.port}`,
                  description: "the password was changed"
                })
              )
            : wire.connect(endpoint, role)
      })
      const running = yield* Effect.fork(
        KafkaConsumer.run({ ...options, handler: () => Effect.void }).pipe(
          Effect.provideService(Wire, refusing),
          Effect.flip
        )
      )
      yield* TestClock.adjust("5 seconds")
      const failure = yield* running
      assert(failure._tag === "ConsumerError")
      assert.strictEqual(failure.reason, "Authorization")
      assert.include(failure.message, "the password was changed")
    }).pipe(onBroker({ topics: { [topic]: 1 } }))
  )

  const refused = (endpoint: Endpoint) =>
    new WireError({ reason: "Authentication", endpoint: endpoint.host, description: "the password was changed" })

  it.effect("fails with Authorization when the credentials of its dead letter producer are refused", () =>
    Effect.gen(function* () {
      const wire = yield* Wire
      const refusing = Wire.of({ ...wire, connect: (endpoint) => Effect.fail(refused(endpoint)) })
      const producer = yield* Effect.provideService(KafkaProducer.make(), Wire, refusing)
      const failing = yield* Effect.fork(
        KafkaConsumer.make({ ...options, deadLetter: DeadLetter.topic(), handler: () => Effect.void }).pipe(
          Effect.provideService(Producer, producer),
          Effect.flip
        )
      )
      yield* TestClock.adjust("5 seconds")
      const failure = yield* failing
      assert(failure._tag === "ConsumerError")
      assert.strictEqual(failure.reason, "Authorization")
      assert.include(failure.message, "the password was changed")
      assert.include(failure.message, `${topic}-dlq`)
    }).pipe(onBroker({ topics: { [topic]: 1 } }))
  )

  it.effect("fails with InvalidOptions when the wire's maxResponseBytes is too small for its fetches", () =>
    Effect.gen(function* () {
      const wire = Wire.of({ ...(yield* Wire), maxResponseBytes: 1_000_000 })
      const failure = yield* KafkaConsumer.make({ ...options, handler: () => Effect.void }).pipe(
        Effect.provideService(Wire, wire),
        Effect.flip
      )
      assert.strictEqual(failure._tag, "InvalidOptions")
      assert.include(failure.message, "fetchMaxBytes must be 65536 bytes below the wire's maxResponseBytes (1000000)")
    }).pipe(onBroker({ topics: { [topic]: 1 } }))
  )

  it.effect("logs an unreachable broker even if the cause can't be rendered", () =>
    Effect.gen(function* () {
      const wire = yield* Wire
      const circular = new Error("no token")
      circular.cause = circular
      let tries = 0
      const failing = Wire.of({
        ...wire,
        connect: (endpoint, role) =>
          tries++ < 3
            ? Effect.fail(
                new WireError({ reason: "ConnectFailed", endpoint: endpoint.host, description: "", cause: circular })
              )
            : wire.connect(endpoint, role)
      })
      const consuming = yield* Effect.fork(
        Effect.provideService(KafkaConsumer.make({ ...options, handler: () => Effect.void }), Wire, failing)
      )
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* (yield* consuming).status, "Running")
    }).pipe(
      Logger.withMinimumLogLevel(LogLevel.All),
      onBroker({ topics: { [topic]: 1 } }),
      Effect.provide(Logger.add(json))
    )
  )
})
