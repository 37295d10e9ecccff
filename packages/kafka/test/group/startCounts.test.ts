import { assert, describe, it } from "@effect/vitest"
import * as StartCounts from "../../src/internal/group/startCounts.js"

const group = (changed: Partial<StartCounts.Group> = {}): StartCounts.Group => ({
  hasBegun: false,
  known: StartCounts.none,
  committed: new Set(),
  isMatched: () => false,
  ...changed
})

const orders: StartCounts.Present = { topic: "orders", topicId: "a", partitions: 3 }

const countOf = (of: StartCounts.Group, topic = orders) => StartCounts.decide(of, [topic]).get(topic.topic)?.partitions

describe("startCounts", () => {
  it("are the current counts if the group has committed nothing", () => {
    assert.strictEqual(countOf(group()), 3)
    assert.strictEqual(countOf(group({ isMatched: () => true })), 3)
  })

  it("are empty for a topic with any commit of the group", () => {
    assert.strictEqual(countOf(group({ committed: new Set(["orders"]) })), 0)
    assert.strictEqual(countOf(group({ committed: new Set(["orders"]), isMatched: () => true })), 0)
  })

  it("are empty for a topic that matches later, and the current count for a named one", () => {
    for (const begun of [group({ hasBegun: true }), group({ committed: new Set(["others"]) })]) {
      assert.strictEqual(countOf({ ...begun, isMatched: () => true }), 0)
      assert.strictEqual(countOf(begun), 3)
    }
  })

  it("don't change, except for another topic of the same name", () => {
    const known = StartCounts.decide(group(), [orders])
    assert.strictEqual(countOf(group({ known, committed: new Set(["orders"]) }), { ...orders, partitions: 5 }), 3)
    assert.strictEqual(countOf(group({ known }), { ...orders, topicId: "" }), 3)
    assert.strictEqual(countOf(group({ known }), { ...orders, topicId: "b" }), 0)
  })

  it("are empty for a topic that was missing when the group started", () => {
    const known = StartCounts.withMissing(StartCounts.none, ["orders", "others"], (topic) => topic === "orders")
    assert.deepStrictEqual([...known.keys()], ["orders"])
    assert.strictEqual(countOf(group({ known, hasBegun: true })), 0)
    assert.strictEqual(countOf(group({ known }), { ...orders, topic: "others" }), 3)
  })

  it("distinguish partitions that were added later", () => {
    const counts = StartCounts.decide(group(), [orders])
    const isLater = (partition: number, topicId = "a", topic = "orders") =>
      StartCounts.isLater(counts, { topic, partition }, topicId)
    assert.isFalse(isLater(2))
    assert.isTrue(isLater(3))
    assert.isTrue(isLater(0, "b"))
    assert.isFalse(isLater(0, ""))
    assert.isUndefined(isLater(0, "a", "others"))
  })

  it("are read as they were written, and ignore other clients' user data", () => {
    const counts = StartCounts.decide(group(), [orders, { topic: "größen", topicId: "", partitions: 0 }])
    assert.deepStrictEqual(StartCounts.decode(StartCounts.encode(counts)), counts)
    for (const text of ["", "null", "[]", "{", '{"startCounts":3}', '{"startCounts":[1,null,["a"],["a","b","c"]]}']) {
      assert.strictEqual(StartCounts.decode(new TextEncoder().encode(text)).size, 0, text)
    }
    assert.strictEqual(StartCounts.decode(new Uint8Array([0, 0, 0, 7, 0xff])).size, 0)
  })
})
