import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "fast-check"
import * as Ledger from "../../src/internal/lane/ledger.js"

type Command =
  | { readonly _tag: "Fetch"; readonly records: number; readonly gap: number }
  | { readonly _tag: "Skip"; readonly by: number }
  | { readonly _tag: "Settle" | "Unsettle"; readonly which: number }

const command: FastCheck.Arbitrary<Command> = FastCheck.oneof(
  { weight: 2, arbitrary: FastCheck.record({ records: FastCheck.nat(4), gap: FastCheck.nat(2) }) },
  { weight: 1, arbitrary: FastCheck.record({ by: FastCheck.nat(3) }) },
  {
    weight: 6,
    arbitrary: FastCheck.record({ _tag: FastCheck.constant("Settle" as const), which: FastCheck.nat() })
  },
  {
    weight: 2,
    arbitrary: FastCheck.record({ _tag: FastCheck.constant("Unsettle" as const), which: FastCheck.nat() })
  }
).map(
  (fields): Command =>
    "records" in fields ? { _tag: "Fetch", ...fields } : "by" in fields ? { _tag: "Skip", ...fields } : fields
)

/** All added offsets, and whether each is settled. */
interface Model {
  readonly records: Map<number, boolean>
  end: number
}

const unsettledOf = (model: Model): Array<number> =>
  Array.from(model.records)
    .filter(([, settled]) => !settled)
    .map(([offset]) => offset)

const run = (model: Model, ledger: Ledger.Ledger, step: Command): void => {
  switch (step._tag) {
    case "Fetch":
      for (let i = 0; i < step.records; i++) {
        const offset = model.end + step.gap
        Ledger.add(ledger, offset)
        model.records.set(offset, false)
        model.end = offset + 1
      }
      return
    case "Skip":
      Ledger.skipTo(ledger, model.end + step.by)
      model.end += step.by
      return
    case "Settle": {
      const unsettled = unsettledOf(model)
      if (unsettled.length === 0) return
      const offset = unsettled[step.which % unsettled.length]!
      Ledger.settle(ledger, offset)
      model.records.set(offset, true)
      return
    }
    case "Unsettle": {
      const all = Array.from(model.records.keys())
      if (all.length === 0) return
      const offset = all[step.which % all.length]!
      assert.strictEqual(Ledger.unsettle(ledger, offset), model.records.get(offset))
      assert.isFalse(Ledger.unsettle(ledger, model.end))
      model.records.set(offset, false)
    }
  }
}

describe("ledger", () => {
  it("agrees with a naive model, for any order of settlement and any gaps between offsets", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.nat(1_000), FastCheck.array(command, { maxLength: 60 }), (position, commands) => {
        const ledger = Ledger.make(position)
        const model: Model = { records: new Map(), end: position }
        let before = position
        for (const step of commands) {
          run(model, ledger, step)
          const unsettled = unsettledOf(model)
          const committable = Ledger.committable(ledger)
          assert.strictEqual(committable, unsettled[0] ?? model.end)
          assert.strictEqual(Ledger.unsettled(ledger), unsettled.length)
          if (step._tag !== "Unsettle") assert.isAtLeast(committable, before)
          before = committable
        }
      }),
      { numRuns: 500 }
    )
  })

  it("forgets settled records, for any number of records", () => {
    const ledger = Ledger.make(0)
    const inFlight = 10
    for (let offset = 0; offset < 100_000; offset++) {
      Ledger.add(ledger, offset)
      if (offset >= inFlight) Ledger.settle(ledger, offset - inFlight)
      assert.isAtMost(ledger.offsets.length, 8_192 + inFlight)
      assert.strictEqual(ledger.early.size, 0)
    }
    assert.strictEqual(Ledger.committable(ledger), 100_000 - inFlight)
  })

  it("keeps early settlements only while a record before them is unsettled", () => {
    const ledger = Ledger.make(0)
    for (let offset = 0; offset < 1_000; offset++) Ledger.add(ledger, offset)
    for (let offset = 999; offset > 0; offset--) Ledger.settle(ledger, offset)
    assert.strictEqual(Ledger.committable(ledger), 0)
    assert.strictEqual(ledger.early.size, 999)
    Ledger.settle(ledger, 0)
    assert.strictEqual(Ledger.committable(ledger), 1_000)
    assert.strictEqual(ledger.early.size, 0)
    assert.strictEqual(ledger.offsets.length, 0)
  })

  it("never moves its end back", () => {
    const ledger = Ledger.make(7)
    Ledger.skipTo(ledger, 5)
    assert.strictEqual(Ledger.committable(ledger), 7)
    Ledger.skipTo(ledger, 9)
    assert.strictEqual(Ledger.committable(ledger), 9)
  })
})
