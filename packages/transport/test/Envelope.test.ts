import { assert, describe, it } from "@effect/vitest"
import * as Option from "effect/Option"
import * as Envelope from "../src/Envelope.js"
import * as Headers from "../src/Headers.js"
import * as RecordEnvelope from "../src/internal/envelope.js"

const record = (headers: Headers.Headers): Envelope.ConsumedRecord => ({
  topic: "orders",
  partition: 3,
  offset: 42,
  timestamp: 1_000,
  key: Uint8Array.of(1),
  value: null,
  headers
})

describe("Envelope", () => {
  it("identifies an event by its header, else by its CloudEvents id, else by its coordinates", () => {
    assert.strictEqual(Envelope.eventIdOf(record(Headers.fromRecord({ "x-event-id": "e-1" }))), "e-1")
    assert.strictEqual(Envelope.eventIdOf(record(Headers.empty)), "orders-3-42")
    assert.strictEqual(Envelope.eventIdOf(record(Headers.fromRecord({ "x-event-id": "" }))), "orders-3-42")
    assert.strictEqual(Envelope.eventIdOf(record(Headers.fromRecord({ "x-event-id": null }))), "orders-3-42")
    assert.strictEqual(Envelope.eventIdOf(record(Headers.fromRecord({ ce_id: "c-1", "x-event-id": "" }))), "c-1")
    assert.strictEqual(Envelope.eventIdOf(record(Headers.fromRecord({ ce_id: "c-1", "x-event-id": "e-1" }))), "e-1")
    assert.strictEqual(Envelope.eventIdOf(record(Headers.fromRecord({ ce_id: "" }))), "orders-3-42")
  })

  it("reads a key as text", () => {
    const text = (key: Uint8Array | null) => Option.getOrNull(Envelope.keyText({ key }))
    assert.strictEqual(text(new TextEncoder().encode("k-ü")), "k-ü")
    assert.strictEqual(text(new Uint8Array()), "")
    assert.strictEqual(text(null), null)
    assert.strictEqual(text(Uint8Array.of(0xff)), "\ufffd")
  })

  it("reads the record's fields only on access", () => {
    const read: Array<PropertyKey> = []
    const watched = new Proxy(record(Headers.fromRecord({ "x-event-id": "e-1" })), {
      get: (target, name) => {
        read.push(name)
        return Reflect.get(target, name)
      }
    })
    const envelope = RecordEnvelope.make(watched, "value", 2)
    assert.deepStrictEqual([envelope.value, envelope.attempt, read], ["value", 2, []])
    assert.deepStrictEqual([envelope.offset, read], [42, ["offset"]])
    assert.strictEqual(envelope.eventId, "e-1")
  })

  it("maps the value and keeps the rest", () => {
    const original = record(Headers.fromRecord({ "x-event-id": "e-1" }))
    assert.deepStrictEqual(
      Envelope.map(RecordEnvelope.make(original, 20, 1), (value) => `${value}`),
      {
        eventId: "e-1",
        value: "20",
        key: Uint8Array.of(1),
        headers: original.headers,
        topic: "orders",
        partition: 3,
        offset: 42,
        timestamp: 1_000,
        attempt: 1
      }
    )
  })
})
