import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as Event from "../src/Event.js"
import { carriedBy } from "../src/runtime/CarriedIssues.js"
import * as Environment from "../src/runtime/Environment.js"
import { OrderPlaced, OrderPlacedV2 } from "./support/events.js"

describe("Event", () => {
  it("includes its version in its CloudEvents type, if it has one", () => {
    assert.strictEqual(OrderPlaced.cloudEventType, "order.placed.v1")
    assert.strictEqual(OrderPlacedV2.cloudEventType, "order.placed.v2")
    assert.strictEqual(Event.make({ type: "com.github.push", data: Schema.Unknown }).cloudEventType, "com.github.push")
  })

  it("carries every issue with a definition that CloudEvents forbids", () => {
    const issuesOf = (options: Partial<Event.EventOptions<unknown, unknown>>) =>
      carriedBy(Event.make({ type: "a", data: Schema.Unknown, ...options })).map(Environment.describe)
    assert.deepStrictEqual(issuesOf({}), [])
    assert.deepStrictEqual(issuesOf({ type: "", dataSchema: "a.json" }), [
      'type must be text that CloudEvents allows, not ""',
      'dataSchema must be a URI, not "a.json"'
    ])
    assert.deepStrictEqual(issuesOf({ type: "a\t" }), ['type must be text that CloudEvents allows, not "a\\t"'])
    for (const version of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      assert.deepStrictEqual(issuesOf({ version }), [`version must be a whole number of at least 1, not ${version}`])
    }
    assert.deepStrictEqual(
      carriedBy(Event.make(undefined as never)).map(({ field }) => field),
      ["type", "data"]
    )
  })

  it("takes the subject from its data, otherwise the given one", () => {
    const order = { id: "o-1", total: 3 }
    assert.strictEqual(Event.of(OrderPlaced, order).subject, "o-1")
    assert.strictEqual(Event.of(OrderPlaced, order, { subject: "o-2" }).subject, "o-2")
    assert.isUndefined(Event.of(Event.make({ type: "a", data: Schema.Unknown }), order).subject)
  })
})
