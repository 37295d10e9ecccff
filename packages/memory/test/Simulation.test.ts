import { assert, describe, it } from "@effect/vitest"
import * as Codec from "@spillway/transport/Codec"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import * as RetryPolicy from "@spillway/transport/RetryPolicy"
import * as Effect from "effect/Effect"
import { beforeEach } from "vitest"
import * as Simulation from "../src/Simulation.js"

const seeds = (count: number, from = 1): ReadonlyArray<number> => Array.from({ length: count }, (_, i) => from + i)

// Stacks of the errors that faults make on purpose would cost more than everything else.
Error.stackTraceLimit = 0

describe("Simulation", () => {
  // The thread is shared with the test runner.
  beforeEach(() => new Promise((resume) => setImmediate(resume)))

  // In parts, because each blocks the thread until it is done.
  for (const from of seeds(20).map((part) => 1 + (part - 1) * 25)) {
    it(`breaks no promise in seeds ${from} to ${from + 24}`, () => {
      let acknowledged = 0
      for (const seed of seeds(25, from)) {
        const { account } = Effect.runSync(Simulation.run(seed))
        acknowledged += account.acknowledged
        const settled = account.handled + account.deadLettered + account.expired + account.skipped
        assert.strictEqual(settled, account.acknowledged, `seed ${seed} leaves records without an outcome`)
      }
      assert.isAbove(acknowledged, 100)
    })
  }

  // A transactional consumer that was fenced while it looked up the result of its last commit (1296, 1497), one that
  // lost a partition meanwhile (2700), and a member that was stopped as a rebalance ended its generation (7718).
  it.each([1296, 1497, 2700, 7718])("breaks no promise any more in seed %i", (seed) => {
    Effect.runSync(Simulation.run(seed))
  })

  it("plays a seed identically, to the last byte", () => {
    for (const seed of seeds(10, 7)) {
      const play = () => Effect.runSync(Simulation.run(seed, { trace: true }))
      const first = play()
      assert.isAbove(first.trace.length, 10)
      assert.deepStrictEqual(play(), first)
    }
  })

  const consumer = {
    groupId: "billing",
    topics: ["orders"],
    value: Codec.text,
    retry: RetryPolicy.none,
    deadLetter: DeadLetter.topic("orders-dlq")
  }

  it("plays a user's handler: records that it refuses are dead-lettered, the others handled", () => {
    const total = { handled: 0, deadLettered: 0, acknowledged: 0 }
    for (const seed of seeds(10)) {
      const { account } = Effect.runSync(
        Simulation.run(seed, {
          consumer: { ...consumer, handler: ({ value }) => (value === "bad" ? Effect.fail("refused") : Effect.void) },
          record: (index) => ({ key: String(index), value: index % 3 === 0 ? "bad" : "good" })
        })
      )
      total.handled += account.handled
      total.deadLettered += account.deadLettered
      total.acknowledged += account.acknowledged
    }
    assert.isAbove(total.handled, total.deadLettered)
    assert.isAbove(total.deadLettered, 10)
  })

  it("names the promise that a user's consumer breaks, and the few steps that break it", () => {
    const failure = Effect.runSync(
      Effect.flip(
        Simulation.run(3, {
          // A record that is retried forever blocks its partition forever.
          consumer: {
            ...consumer,
            handler: () => Effect.fail("never"),
            retry: RetryPolicy.fixed({ retries: Number.POSITIVE_INFINITY, delay: "1 minute" })
          },
          record: () => ({ value: "a" })
        })
      )
    )
    assert.strictEqual(failure.violation.promise, "every record is handled in the end")
    assert.isAtMost(failure.schedule.length, 3)
    assert.include(failure.message, "seed 3 breaks a promise")
  })
})
