import { assert, describe, it } from "@effect/vitest"
import { Wire } from "@spillway/kafka/Wire"
import { MemoryBroker } from "@spillway/memory/MemoryBroker"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import * as Cluster from "../../src/internal/cluster/cluster.js"
import { onBroker, topic } from "../support/consumerTesting.js"

describe("cluster", () => {
  it.effect("fails waiting callers when the client is closed, and later callers", () =>
    Effect.gen(function* () {
      const { wire } = yield* MemoryBroker
      const scope = yield* Scope.make()
      const cluster = yield* Scope.extend(Cluster.make, scope).pipe(
        Effect.provideService(Wire, { bootstrap: wire.bootstrap, connect: () => Effect.never })
      )
      const asking = yield* Effect.fork(Effect.flip(cluster.refresh([topic])))
      yield* TestClock.adjust(0)
      yield* Scope.close(scope, Exit.void)
      const late = yield* Effect.fork(Effect.flip(cluster.refresh([topic])))
      for (const fiber of [asking, late]) {
        const error = yield* Fiber.join(fiber)
        assert.strictEqual(error.reason, "Disconnected")
        assert.include(error.message, "the client was closed")
      }
    }).pipe(onBroker({ topics: { [topic]: 1 } }))
  )
})
