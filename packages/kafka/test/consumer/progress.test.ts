import { assert, describe, it } from "@effect/vitest"
import type { PartitionSnapshot } from "@spillway/transport/runtime/ConsumerSnapshot"
import * as Progress from "../../src/internal/consumer/progress.js"

const snapshot: PartitionSnapshot = {
  topic: "orders",
  partition: 3,
  activity: "handling",
  paused: false,
  settledTo: 41,
  highWatermark: 100,
  inFlight: 1,
  bufferedRecords: 10,
  bufferedBytes: 1_000,
  oldestFetchedAt: 0,
  steps: 7
}

const limits: Progress.Limits = { stalledAfterMs: 60_000, handlerTimeoutMs: 300_000, mayStart: true }

/** Looks once a second, at a partition as it is at each second. */
const after = (seconds: number, at: (second: number) => Partial<PartitionSnapshot>) => {
  let progress = Progress.start(0)
  for (let second = 0; second <= seconds; second++) {
    progress = Progress.look(progress, [{ ...snapshot, ...at(second) }], second * 1_000)
  }
  return progress
}

const stateAfter = (seconds: number, at: (second: number) => Partial<PartitionSnapshot>, given = limits) =>
  Progress.check(after(seconds, at), given).state

describe("progress", () => {
  it("names a partition whose handler runs for longer than the threshold", () => {
    assert.strictEqual(
      stateAfter(60, () => ({})),
      "working"
    )
    assert.deepStrictEqual(
      Progress.check(
        after(61, () => ({})),
        limits
      ),
      {
        status: "down",
        state: "stalled",
        live: true,
        details: {
          count: 1,
          lanes: [{ topic: "orders", partition: 3, offset: 41, state: "stalled", seconds: 61 }]
        }
      }
    )
  })

  it("reports a handler that ignores its interruption as stuck, which only a restart cures", () => {
    const given = { ...limits, handlerTimeoutMs: 10_000 }
    assert.strictEqual(
      Progress.check(
        after(14, () => ({})),
        given
      ).live,
      undefined
    )
    const { live, state, status } = Progress.check(
      after(15, () => ({})),
      given
    )
    assert.deepStrictEqual({ status, state, live }, { status: "down", state: "stuck", live: false })
  })

  it("counts each settled or started record, and an empty snapshot, as progress", () => {
    assert.strictEqual(
      stateAfter(600, (second) => ({ settledTo: Math.floor(second / 50), steps: second })),
      "working"
    )
    assert.strictEqual(
      stateAfter(600, () => ({ activity: "idle", inFlight: 0 })),
      "idle"
    )
    assert.strictEqual(
      stateAfter(61, (second) => (second === 30 ? { activity: "idle" } : {})),
      "working"
    )
  })

  it("distinguishes a record that keeps failing from a handler that runs long", () => {
    const retrying = (second: number): Partial<PartitionSnapshot> => ({
      activity: second % 20 < 10 ? "waiting" : "handling",
      steps: Math.floor(second / 10)
    })
    for (const seconds of [61, 75, 200]) {
      const { live, state, status } = Progress.check(after(seconds, retrying), limits)
      assert.deepStrictEqual({ status, state, live }, { status: "degraded", state: "retrying", live: true })
    }
  })

  it("reports no partition that is paused, may not start, or waits for its dead letter", () => {
    assert.strictEqual(
      stateAfter(600, () => ({ activity: "queued", inFlight: 0, paused: true })),
      "idle"
    )
    const held = { ...limits, mayStart: false }
    assert.strictEqual(
      stateAfter(600, () => ({ activity: "queued", inFlight: 0 }), held),
      "working"
    )
    assert.strictEqual(
      stateAfter(600, () => ({ activity: "waiting" }), held),
      "working"
    )
    assert.strictEqual(
      stateAfter(600, () => ({ activity: "deadLettering" })),
      "working"
    )
    assert.deepStrictEqual(
      Progress.deadLettering(
        after(60, () => ({ activity: "deadLettering" })),
        limits
      ),
      []
    )
    assert.deepStrictEqual(
      Progress.deadLettering(
        after(61, () => ({ activity: "deadLettering" })),
        limits
      ),
      [{ topic: "orders", partition: 3, offset: 41, seconds: 61 }]
    )
  })

  it("still reports a long handler in a paused partition or behind an open breaker", () => {
    assert.strictEqual(
      stateAfter(61, () => ({ paused: true })),
      "stalled"
    )
    assert.strictEqual(
      stateAfter(61, () => ({}), { ...limits, mayStart: false }),
      "stalled"
    )
  })

  it("doesn't count time in which the process itself stood still", () => {
    const progress = Progress.look(
      after(10, () => ({})),
      [snapshot],
      1_000_000
    )
    assert.strictEqual(Progress.check(progress, limits).state, "working")
    assert.strictEqual(Progress.check(Progress.look(progress, [snapshot], 0), limits).state, "working")
  })

  it("forgets revoked partitions, and starts over when they are assigned again", () => {
    const long = after(600, () => ({}))
    const without = Progress.look(long, [], 601_000)
    assert.strictEqual(Progress.check(without, limits).state, "idle")
    assert.strictEqual(Progress.check(Progress.look(without, [snapshot], 602_000), limits).state, "working")
  })

  it("names the worst of several, and twenty at most", () => {
    let progress = Progress.start(0)
    const many = Array.from({ length: 25 }, (_, partition): PartitionSnapshot => ({ ...snapshot, partition }))
    const mixed: ReadonlyArray<PartitionSnapshot> = [{ ...snapshot, topic: "refunds", activity: "waiting" }, ...many]
    for (let second = 0; second <= 61; second++) progress = Progress.look(progress, mixed, second * 1_000)
    const { details, state } = Progress.check(progress, limits)
    assert.strictEqual(state, "stalled")
    assert.strictEqual(details?.["count"], 26)
    assert.lengthOf(details?.["lanes"] as ReadonlyArray<unknown>, 20)
  })
})
