import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as Event from "../src/Event.js"
import { OrderPlaced, OrderPlacedV2 } from "./support/events.js"

describe("Event", () => {
  it("includes its version in its CloudEvents type, if it has one", () => {
    assert.strictEqual(OrderPlaced.cloudEventType, "order.placed.v1")
    assert.strictEqual(OrderPlacedV2.cloudEventType, "order.placed.v2")
    assert.strictEqual(Event.make({ type: "com.github.push", data: Schema.Unknown }).cloudEventType, "com.github.push")
  })

  it("rejects definitions that CloudEvents forbids", () => {
    const refused = (options: Partial<Event.EventOptions<unknown, unknown>>): string => {
      try {
        Event.make({ type: "a", data: Schema.Unknown, ...options })
      } catch (error) {
        if (error instanceof Event.EventError) return error.message
      }
      return assert.fail("was defined")
    }
    assert.strictEqual(refused({ type: "", version: 1 }), "InvalidDefinition: .v1: type: is empty")
    assert.strictEqual(
      refused({ type: "a\t" }),
      "InvalidDefinition: a\t: type: has characters that CloudEvents forbids"
    )
    assert.strictEqual(refused({ dataSchema: "a.json" }), "InvalidDefinition: a: dataschema: is not a URI")
    for (const version of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      assert.strictEqual(
        refused({ version }),
        `InvalidDefinition: a.v${version}: version: must be a whole number, at least 1`
      )
    }
  })

  it("takes the subject from its data, otherwise the given one", () => {
    const order = { id: "o-1", total: 3 }
    assert.strictEqual(Event.of(OrderPlaced, order).subject, "o-1")
    assert.strictEqual(Event.of(OrderPlaced, order, { subject: "o-2" }).subject, "o-2")
    assert.isUndefined(Event.of(Event.make({ type: "a", data: Schema.Unknown }), order).subject)
  })
})
