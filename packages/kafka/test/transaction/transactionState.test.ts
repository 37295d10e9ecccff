import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as State from "../../src/internal/transaction/transactionState.js"
import { TransactionError } from "../../src/Transaction.js"

interface Open {
  readonly startedAt: number | undefined
}

const errorOf = (description: string) => new TransactionError({ reason: "Aborted", transactionalId: "t", description })

const events: Readonly<Record<string, (state: State.State<Open>) => State.State<Open>>> = {
  begin: (state: State.State<Open>) => State.begin(state, { startedAt: undefined }),
  beginStarted: (state: State.State<Open>) => State.begin(state, { startedAt: 1 }),
  commit: State.commit,
  doubt: State.doubt,
  fail: (state: State.State<Open>) => State.fail(state, errorOf("failed")),
  failForGood: (state: State.State<Open>) => State.failForGood(state, errorOf("fatal")),
  committed: State.committed,
  aborted: State.aborted,
  recovered: State.recovered
}

const names = Object.keys(events)

/** The state after each event, from Ready on. */
const play = (list: ReadonlyArray<string>): ReadonlyArray<State.State<Open>> => {
  const states: Array<State.State<Open>> = [State.ready]
  for (const event of list) states.push(events[event]!(states.at(-1)!))
  return states
}

const holds = (check: (before: State.State<Open>, event: string, after: State.State<Open>) => void) =>
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...names), { maxLength: 30 }), (list) => {
      const states = play(list)
      for (const [i, event] of list.entries()) check(states[i]!, event, states[i + 1]!)
    })
  )

describe("transactionState", () => {
  it("leads from begin to commit, and to the next", () => {
    assert.deepStrictEqual(
      play(["beginStarted", "commit", "doubt", "committed", "begin", "aborted"]).map(({ _tag }) => _tag),
      ["Ready", "InTransaction", "Committing", "InDoubt", "Ready", "InTransaction", "Ready"]
    )
  })

  it("commits nothing that has failed", () => {
    holds((before, event, after) => {
      if (event !== "committed" || State.openOf(before) === undefined || State.openOf(after) !== undefined) return
      assert.isUndefined(State.failureOf(before))
    })
  })

  it("starts none while one may be open at the coordinator", () => {
    holds((before, event, after) => {
      if (after._tag === "InTransaction" && event !== "commit" && before !== after)
        assert.strictEqual(before._tag, "Ready")
      if (before._tag === "Unfinished" && before !== after) assert.include(["recovered", "failForGood"], event)
    })
  })

  it("keeps one in recovery until its outcome at the coordinator is known", () => {
    holds((before, event, after) => {
      const open = State.openOf(before)
      if (event !== "aborted" || open === undefined || before._tag === "FatalError") return
      assert.strictEqual(after._tag, open.startedAt === undefined ? "Ready" : "Unfinished")
    })
  })

  it("keeps the first failure, and a fatal cause forever", () => {
    holds((before, event, after) => {
      const failure = State.failureOf(before)
      if (failure !== undefined && event !== "aborted") assert.strictEqual(State.failureOf(after), failure)
      if (before._tag !== "FatalError") return
      assert.isTrue(after._tag === "FatalError" && after.cause === before.cause)
    })
  })

  it("sends only while the open transaction has not failed", () => {
    holds((_before, _event, after) => {
      const isOpen = State.openOf(after) !== undefined
      assert.strictEqual(State.isSending(after), isOpen && State.failureOf(after) === undefined)
    })
  })
})
