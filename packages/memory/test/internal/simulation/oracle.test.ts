import { assert, describe, it } from "@effect/vitest"
import * as Oracle from "../../../src/internal/simulation/oracle.js"

const at = { topic: "orders", partition: 0 }

const make = () =>
  Oracle.make({
    now: () => 0,
    calm: false,
    noticesWithinMs: 0,
    keepsMembership: false,
    losesTails: false,
    mayBeginAtEnd: () => false,
    skips: false,
    outcomesAreDeferred: false,
    maxBytesToAsk: undefined,
    maxBytes: () => 1_000,
    maxUnpacked: 1_000,
    newDeadLetters: () => [],
    onEvent: () => {}
  })

describe("oracle", () => {
  it("allows a record to be handled again only if its attempt ended as it timed out", () => {
    const again = (outcome: "handled" | "late") => {
      const oracle = make()
      const member = oracle.member(1)
      oracle.assigned(member, [at])
      oracle.started(member, at, 3, 1)
      oracle.ended(member, at, 3, outcome)
      const settled = oracle.settledBy(member).map(({ offset }) => offset)
      oracle.started(member, at, 3, 2)
      return { settled, broken: oracle.violation()?.promise }
    }
    assert.deepStrictEqual(again("handled"), { settled: [3], broken: "records are handled in order" })
    assert.deepStrictEqual(again("late"), { settled: [], broken: undefined })
  })
})
