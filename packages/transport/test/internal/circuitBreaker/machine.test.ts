import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "fast-check"
import * as Machine from "../../../src/internal/circuitBreaker/machine.js"
import type { CircuitBreakerSettings } from "../../../src/runtime/CircuitBreaker.js"

const settings = FastCheck.record({
  window: FastCheck.record({
    _tag: FastCheck.constant("Count" as const),
    count: FastCheck.integer({ min: 1, max: 12 })
  }),
  failureRatio: FastCheck.constantFrom(0.01, 0.25, 0.5, 1),
  minimumThroughput: FastCheck.integer({ min: 1, max: 6 }),
  openMillis: FastCheck.integer({ min: 1, max: 2_000 }),
  factor: FastCheck.constantFrom(1, 1.5, 2),
  maxOpenMillis: FastCheck.integer({ min: 1, max: 10_000 }),
  probes: FastCheck.integer({ min: 1, max: 3 }),
  isFailure: FastCheck.constant(() => true)
})

const endings = { succeed: Machine.succeed, fail: Machine.fail, ignore: Machine.ignore }

type Ending = keyof typeof endings

type Step =
  | { readonly _tag: "Begin" }
  | { readonly _tag: "End"; readonly which: number; readonly how: Ending }
  | { readonly _tag: "Pass"; readonly millis: number }

const step: FastCheck.Arbitrary<Step> = FastCheck.oneof(
  FastCheck.constant({ _tag: "Begin" as const }),
  FastCheck.record({
    _tag: FastCheck.constant("End" as const),
    which: FastCheck.nat(20),
    how: FastCheck.constantFrom<Ending>("succeed", "fail", "fail", "ignore")
  }),
  FastCheck.record({ _tag: FastCheck.constant("Pass" as const), millis: FastCheck.nat(3_000) })
)

/** The expected behaviour, derived from the full history. */
interface Model {
  state: Machine.Machine["state"]
  /** Calls in flight, by whether they began in the current state. */
  calls: Array<{ readonly period: number }>
  period: number
  results: Array<boolean>
  openings: number
  until: number
  succeeded: number
}

const play = (settings: CircuitBreakerSettings & { window: { _tag: "Count" } }, steps: ReadonlyArray<Step>): void => {
  const machine = Machine.make(settings)
  const permits: Array<Machine.Permit> = []
  let now = 0
  const model: Model = { state: "closed", calls: [], period: 0, results: [], openings: 0, until: 0, succeeded: 0 }

  const become = (state: Model["state"]) => {
    model.state = state
    model.period++
    model.results = []
    model.succeeded = 0
  }
  const open = () => {
    const millis = Math.min(settings.maxOpenMillis, settings.openMillis * settings.factor ** model.openings)
    model.until = now + Math.floor(millis)
    model.openings++
    become("open")
  }
  const probing = () => model.calls.some(({ period }) => period === model.period)

  for (const step of steps) {
    if (step._tag === "Begin") {
      const admitted = model.state === "closed" || (model.state === "halfOpen" && !probing())
      assert.strictEqual(Machine.admits(machine), admitted)
      if (!admitted) continue
      permits.push(Machine.begin(machine))
      model.calls.push({ period: model.period })
    } else if (step._tag === "End") {
      if (permits.length === 0) continue
      const which = step.which % permits.length
      const [permit] = permits.splice(which, 1)
      const [call] = model.calls.splice(which, 1)
      endings[step.how](machine, permit!, now)
      if (call!.period === model.period && step.how !== "ignore") {
        const failed = step.how === "fail"
        if (model.state === "halfOpen") {
          if (failed) open()
          else if (++model.succeeded >= settings.probes) {
            model.openings = 0
            become("closed")
          }
        } else {
          model.results = [...model.results, failed].slice(-settings.window.count)
          const failures = model.results.filter(Boolean).length
          const enough = model.results.length >= settings.minimumThroughput
          if (failed && enough && failures / model.results.length >= settings.failureRatio) open()
        }
      }
    } else {
      now += step.millis
      Machine.tick(machine, now)
      if (model.state === "open" && now >= model.until) become("halfOpen")
    }
    assert.strictEqual(machine.state, model.state)
    if (model.state === "open") assert.strictEqual(machine.opensUntil, model.until)
  }
}

describe("circuit breaker machine", () => {
  it("behaves like a model that remembers everything", () => {
    FastCheck.assert(
      FastCheck.property(settings, FastCheck.array(step, { maxLength: 200 }), (settings, steps) =>
        play(settings, steps)
      ),
      { numRuns: 500 }
    )
  })

  it("opens at the failure that reaches the ratio, then longer each time up to the cap, and starts over once closed", () => {
    const machine = Machine.make({
      window: { _tag: "Count", count: 4 },
      failureRatio: 0.5,
      minimumThroughput: 4,
      openMillis: 1_000,
      factor: 3,
      maxOpenMillis: 5_000,
      probes: 1,
      isFailure: () => true
    })
    let now = 0
    const call = (how: "succeed" | "fail") => endings[how](machine, Machine.begin(machine), now)
    for (const how of ["fail", "succeed", "succeed"] as const) call(how)
    assert.strictEqual(machine.state, "closed")
    call("fail")
    assert.strictEqual(machine.state, "open")
    for (const millis of [1_000, 3_000, 5_000, 5_000]) {
      Machine.tick(machine, now + millis - 1)
      assert.strictEqual(machine.state, "open")
      now += millis
      Machine.tick(machine, now)
      assert.strictEqual(machine.state, "halfOpen")
      call("fail")
    }
    now += 5_000
    Machine.tick(machine, now)
    call("succeed")
    assert.strictEqual(machine.state, "closed")
    for (let i = 0; i < 4; i++) call("fail")
    assert.strictEqual(machine.opensUntil, now + 1_000)
  })
})
