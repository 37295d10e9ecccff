import { assert, describe, it } from "@effect/vitest"
import type { ConsumerStatus } from "@spillway/transport/Consumer"
import * as Chunk from "effect/Chunk"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as FastCheck from "fast-check"
import * as Lifecycle from "../../src/internal/consumer/lifecycle.js"

const statuses = ["Starting", "Running", "Paused", "Draining", "Stopped", "Failed"] as const

const allowed: ReadonlyArray<readonly [ConsumerStatus, ConsumerStatus]> = [
  ["Starting", "Running"],
  ["Starting", "Draining"],
  ["Running", "Paused"],
  ["Running", "Draining"],
  ["Paused", "Running"],
  ["Paused", "Draining"],
  ["Draining", "Stopped"],
  ["Draining", "Failed"]
]

describe("lifecycle", () => {
  it("allows these transitions and no other", () => {
    for (const from of statuses) {
      for (const to of statuses) {
        const expected = allowed.some(([a, b]) => a === from && b === to)
        assert.strictEqual(Lifecycle.mayFollow(from, to), expected, `${from} -> ${to}`)
      }
    }
    assert.deepStrictEqual(statuses.filter(Lifecycle.isFinal), ["Stopped", "Failed"])
  })

  it("ignores transitions that aren't allowed", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.array(FastCheck.constantFrom(...statuses)), (asked) => {
        const reached = Effect.runSync(
          Effect.gen(function* () {
            const lifecycle = yield* Lifecycle.make
            yield* Effect.forEach(asked, lifecycle.to, { discard: true })
            return yield* lifecycle.status
          })
        )
        const expected = asked.reduce<ConsumerStatus>(
          (from, to) => (Lifecycle.mayFollow(from, to) ? to : from),
          "Starting"
        )
        assert.strictEqual(reached, expected)
      })
    )
  })

  it.effect("emits the current status and each change, and ends with the last", () =>
    Effect.gen(function* () {
      const lifecycle = yield* Lifecycle.make
      const subscribed = yield* Deferred.make<void>()
      const seen = yield* lifecycle.changes.pipe(
        Stream.tap(() => Deferred.succeed(subscribed, undefined)),
        Stream.runCollect,
        Effect.fork
      )
      yield* Deferred.await(subscribed)
      for (const status of ["Running", "Stopped", "Draining", "Running", "Failed"] as const) yield* lifecycle.to(status)
      const path = Chunk.toReadonlyArray(yield* Fiber.join(seen))
      assert.deepStrictEqual(path, ["Starting", "Running", "Draining", "Failed"])
    })
  )

  it.effect("emits the final status to late subscribers", () =>
    Effect.gen(function* () {
      const lifecycle = yield* Lifecycle.make
      yield* lifecycle.to("Draining")
      yield* lifecycle.to("Stopped")
      assert.deepStrictEqual(Chunk.toReadonlyArray(yield* Stream.runCollect(lifecycle.changes)), ["Stopped"])
    })
  )
})
