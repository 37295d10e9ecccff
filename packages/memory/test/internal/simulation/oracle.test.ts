import { assert, describe, it } from "@effect/vitest"
import * as Oracle from "../../../src/internal/simulation/oracle.js"

const at = { topic: "orders", partition: 0 }

const make = (now = () => 0) =>
  Oracle.make({
    now,
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

  const played = (at0: ReadonlyArray<number>) => {
    const oracle = make()
    const member = oracle.member(1)
    oracle.assigned(member, [at])
    oracle.positioned(member, at, 0)
    for (const offset of at0) {
      oracle.started(member, at, offset, 1)
      oracle.ended(member, at, offset, "handled")
    }
    return { oracle, member }
  }

  it("lets a seek go back to its target, and to no other record", () => {
    const after = (next: number) => {
      const { member, oracle } = played([0, 1, 2])
      oracle.commits(member, at, 3)
      assert.isTrue(oracle.seeks(member, at, 1))
      oracle.commits(member, at, 1)
      oracle.sought(member, at, "moved")
      oracle.started(member, at, next, 1)
      return oracle.violation()?.promise
    }
    assert.deepStrictEqual(
      [after(1), after(2), after(0)],
      [undefined, ...Array(2).fill("records are handled in order")]
    )
  })

  it("lets a seek commit past records without an outcome, and nothing else", () => {
    const seeking = played([0])
    seeking.oracle.seeks(seeking.member, at, 5)
    seeking.oracle.commits(seeking.member, at, 5)
    assert.isUndefined(seeking.oracle.violation())
    assert.strictEqual(seeking.oracle.outcome(at, 3), "skipped")
    const { member, oracle } = played([0])
    oracle.commits(member, at, 5)
    assert.strictEqual(oracle.violation()?.promise, "no unsettled record is committed")
  })

  it("ignores a refused seek", () => {
    const { member, oracle } = played([0, 1])
    oracle.seeks(member, at, 0)
    oracle.sought(member, at, "unchanged")
    oracle.started(member, at, 0, 1)
    assert.strictEqual(oracle.violation()?.promise, "records are handled in order")
  })

  it("reports a record that a paused partition starts, until it is resumed", () => {
    const startedAt = (resumes: boolean) => {
      let now = 0
      const oracle = make(() => now)
      const member = oracle.member(1)
      oracle.assigned(member, [at])
      oracle.pauses(member, at, true)
      now = 1
      if (resumes) oracle.pauses(member, at, false)
      oracle.started(member, at, 0, 1)
      return oracle.violation()?.promise
    }
    assert.deepStrictEqual([startedAt(false), startedAt(true)], ["a paused partition starts no record", undefined])
  })
})
