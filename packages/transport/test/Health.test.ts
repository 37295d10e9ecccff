import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Health from "../src/Health.js"
import * as Environment from "../src/runtime/Environment.js"

const up: Health.HealthCheck = { status: "up", state: "reachable" }

describe("Health", () => {
  it.scoped("is off by default: checks don't run, and nothing is ready", () =>
    Effect.gen(function* () {
      const health = yield* Health.Health
      assert.isFalse(health.enabled)
      yield* health.register("consumer billing", () => assert.fail("asked"))
      assert.deepStrictEqual(yield* health.report, { status: "degraded", live: true, ready: false, components: {} })
    })
  )

  it.effect("is live and not ready without components", () =>
    Effect.gen(function* () {
      const health = yield* Health.Health
      assert.isTrue(health.enabled)
      assert.deepStrictEqual(yield* health.report, { status: "degraded", live: true, ready: false, components: {} })
    }).pipe(Effect.provide(Health.layer()))
  )

  it.scoped("reports the current state of its components", () =>
    Effect.gen(function* () {
      const health = yield* Health.make()
      let brokers: Health.HealthCheck = up
      yield* health.register("producer", () => ({ brokers }))
      assert.deepStrictEqual(yield* health.report, {
        status: "up",
        live: true,
        ready: true,
        components: { producer: { status: "up", live: true, ready: true, checks: { brokers: up } } }
      })
      brokers = { status: "down", state: "unreachable", details: { brokers: ["kafka:9092"] } }
      const report = yield* health.report
      assert.strictEqual(report.status, "down")
      assert.deepStrictEqual(report.components["producer"]?.checks["brokers"], brokers)
    })
  )

  const cases: ReadonlyArray<readonly [ReadonlyArray<Partial<Health.HealthCheck>>, Health.HealthSummary]> = [
    [[{}, {}], { status: "up", live: true, ready: true }],
    [[{}, { status: "degraded" }], { status: "degraded", live: true, ready: true }],
    [[{ status: "down" }, { status: "degraded" }, {}], { status: "down", live: true, ready: true }],
    [[{ ready: false }, { live: true, ready: true }], { status: "up", live: true, ready: false }],
    [[{ status: "down", live: false, ready: false }, {}], { status: "down", live: false, ready: false }]
  ]

  it.scoped.each(cases)("takes the worst of all checks and of all components: %j", ([checks, expected]) =>
    Effect.gen(function* () {
      const inOne = yield* Health.make()
      const inMany = yield* Health.make()
      yield* inOne.register("one", () =>
        Object.fromEntries(checks.map((check, i) => [`check${i}`, { ...up, ...check }]))
      )
      for (const check of checks) yield* inMany.register("one", () => ({ check: { ...up, ...check } }))
      for (const { report } of [inOne, inMany]) {
        const { live, ready, status } = yield* report
        assert.deepStrictEqual({ status, live, ready }, expected)
      }
    })
  )

  it.scoped("numbers components of the same name, and forgets those whose scope has closed", () =>
    Effect.gen(function* () {
      const health = yield* Health.make()
      const first = yield* Scope.make()
      yield* Scope.extend(
        health.register("producer", () => ({ first: up })),
        first
      )
      yield* health.register("producer", () => ({ second: up }))
      assert.deepStrictEqual(Object.keys((yield* health.report).components), ["producer", "producer #2"])
      yield* Scope.close(first, Exit.void)
      yield* health.register("producer", () => ({ third: up }))
      const { components } = yield* health.report
      assert.property(components["producer"]?.checks, "third")
      assert.property(components["producer #2"]?.checks, "second")
    })
  )

  it.scoped("reports a component that throws as down, and still checks the others", () =>
    Effect.gen(function* () {
      const health = yield* Health.make()
      yield* health.register("broken", () => {
        throw new Error("no idea")
      })
      yield* health.register("producer", () => ({ brokers: up }))
      const { components, live, status } = yield* health.report
      assert.deepStrictEqual([status, live], ["down", true])
      assert.deepStrictEqual(components["broken"]?.checks, {
        check: { status: "down", state: "unknown", details: { error: "no idea" } }
      })
      assert.strictEqual(components["producer"]?.status, "up")
    })
  )

  for (const stalledAfter of [0, -1, "soon", Number.NaN]) {
    it.effect(`refuses stalledAfter ${stalledAfter}`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(Health.make({ stalledAfter: stalledAfter as never }))
        assert.strictEqual(error.module, "Health")
        assert.strictEqual(error.issues[0]!.field, "stalledAfter")
        assert.include(error.message, Environment.show(stalledAfter))
      })
    )
  }
})
