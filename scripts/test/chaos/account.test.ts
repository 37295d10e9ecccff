import { assert, describe, it } from "@effect/vitest"
import { account, type Handling, type History, longestPause, why } from "../../chaos/account.js"

const handling = (member: string, at: number): Handling => ({ member, at, partition: 0, offset: 0 })

const calm: History = { killed: new Map(), frozen: [], lost: [] }

const before = handling("a", 1_000)
const again = handling("b", 5_000)

describe("The account of a chaos run", () => {
  it("reports why a record was handled again", () => {
    assert.strictEqual(why(calm, before, again), "unexplained")
    assert.strictEqual(why({ ...calm, killed: new Map([["a", 2_000]]) }, before, again), "memberKilled")
    const frozen = [{ member: "a", from: 1_500, until: 4_000 }]
    const lost = [{ member: "a", at: 5_500 }]
    assert.strictEqual(why({ ...calm, lost }, before, again), "sessionLost")
    assert.strictEqual(why({ ...calm, frozen, lost }, before, again), "memberFrozen")
  })

  it("accepts a handler that a freeze delayed until the next owner had handled its record", () => {
    const frozen = [{ member: "b", from: 500, until: 4_900 }]
    const lost = [{ member: "b", at: 5_500 }]
    assert.strictEqual(why({ ...calm, frozen, lost }, before, again), "memberFrozen")
    assert.strictEqual(why({ ...calm, frozen }, before, again), "unexplained")
    const later = [{ member: "b", from: 1_500, until: 4_900 }]
    assert.strictEqual(why({ ...calm, frozen: later, lost }, before, again), "unexplained")
  })

  it("accepts as a reason neither another member's fault nor one at another time", () => {
    assert.strictEqual(why({ ...calm, killed: new Map([["b", 2_000]]) }, before, again), "unexplained")
    assert.strictEqual(why({ ...calm, killed: new Map([["a", 900]]) }, before, again), "unexplained")
    const frozen = [{ member: "a", from: 1_500, until: 4_000 }]
    assert.strictEqual(why({ ...calm, frozen }, before, again), "unexplained")
    assert.strictEqual(why({ ...calm, lost: [{ member: "a", at: 500 }] }, before, again), "unexplained")
  })

  it("finds the longest time without a handled record", () => {
    assert.isUndefined(longestPause(new Map([[1, [handling("a", 1_000)]]])))
    const handlings = new Map([
      [1, [handling("a", 1_000), handling("b", 9_000)]],
      [2, [handling("a", 3_000)]],
      [3, [handling("b", 8_000)]]
    ])
    assert.deepStrictEqual(longestPause(handlings), { from: 3_000, until: 8_000 })
  })

  it("finds records that are lost, written twice and handled again", () => {
    const found = account({
      acknowledged: new Set([1, 2, 3]),
      handlings: new Map([
        [1, [before, again]],
        [4, [before]]
      ]),
      deadLettered: new Set([2]),
      written: new Map([
        [1, 1],
        [2, 2],
        [3, 1],
        [4, 1]
      ]),
      history: calm
    })
    assert.deepStrictEqual(found, {
      acknowledged: 3,
      handled: 2,
      deadLettered: 1,
      lost: [3],
      writtenTwice: [2],
      handledAgain: { memberKilled: 0, memberFrozen: 0, sessionLost: 0, unexplained: 1 },
      unexplained: [[1, before, again]]
    })
  })
})
