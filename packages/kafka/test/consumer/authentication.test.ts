import { assert, it } from "@effect/vitest"
import { Wire, WireError } from "@spillway/kafka/Wire"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import { describe } from "vitest"
import * as KafkaConsumer from "../../src/KafkaConsumer.js"
import { onBroker, options, topic } from "../support/consumerTesting.js"

describe("A consumer", () => {
  it.effect("whose credentials are refused on the connection to fetch fails, and doesn't fetch for ever in vain", () =>
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
      assert.strictEqual(failure.reason, "Authorization")
      assert.include(failure.message, "the password was changed")
    }).pipe(onBroker({ topics: { [topic]: 1 } }))
  )
})
