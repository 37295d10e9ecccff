import { assert, describe, it } from "@effect/vitest"
import * as Data from "effect/Data"
import * as Option from "effect/Option"
import * as fc from "fast-check"
import * as DeadLetter from "../src/DeadLetter.js"
import type { ConsumedRecord } from "../src/Envelope.js"
import { NonRetryableError } from "../src/HandlerError.js"
import * as Headers from "../src/Headers.js"
import type { ProducerRecord } from "../src/Producer.js"
import * as DeadLetters from "../src/runtime/DeadLetter.js"

class CardDeclined extends Data.TaggedError("CardDeclined")<{ readonly message: string }> {}

const source: ConsumedRecord = {
  topic: "orders",
  partition: 3,
  offset: 42,
  timestamp: 1_700_000_000_123,
  key: Uint8Array.of(0, 255),
  value: Uint8Array.of(1, 2, 3),
  headers: [
    ["b", Uint8Array.of(200)],
    ["a", null],
    ["b", Uint8Array.of()]
  ]
}

const failed = (record: ConsumedRecord, error: unknown = new CardDeclined({ message: "déclined" })) => ({
  record,
  error,
  attempts: 4,
  failedAt: Date.UTC(2026, 0, 2, 3, 4, 5, 6),
  groupId: "billing"
})

const dead = (record: ConsumedRecord, options: Partial<DeadLetters.RecordOptions> = {}, error?: unknown) =>
  DeadLetters.record(failed(record, error), { topic: "orders-dlq", ...options })

const headersOf = (record: ProducerRecord): Headers.Headers => record.headers as Headers.Headers

/** A published dead letter as a consumer of the dead letter topic reads it. */
const read = (record: ProducerRecord, place: Partial<ConsumedRecord> = {}): ConsumedRecord => ({
  topic: record.topic,
  partition: record.partition ?? 0,
  offset: 7,
  timestamp: 5,
  key: record.key as Uint8Array | null,
  value: record.value as Uint8Array | null,
  headers: headersOf(record),
  ...place
})

const anyHeaders = fc.array(
  fc.tuple(
    fc.constantFrom("a", "b", "x-event-id", "x-retry-count", "x-error-message", "x-original-topic", "traceparent"),
    fc.option(fc.uint8Array({ maxLength: 4 }))
  )
) as fc.Arbitrary<Headers.Headers>

const anyRecord: fc.Arbitrary<ConsumedRecord> = fc.record({
  topic: fc.constant("orders"),
  partition: fc.nat(),
  offset: fc.maxSafeNat(),
  timestamp: fc.maxSafeNat(),
  key: fc.option(fc.uint8Array({ maxLength: 4 })),
  value: fc.option(fc.uint8Array({ maxLength: 4 })),
  headers: anyHeaders
}) as fc.Arbitrary<ConsumedRecord>

const metadataNames = Headers.toText(headersOf(dead(source)))
  .map(([name]) => name)
  .filter((name) => name.startsWith("x-"))

describe("DeadLetters.record", () => {
  it("keeps key, value and headers and appends the metadata", () => {
    const letter = dead(source, { partition: 3 })
    assert.strictEqual(letter.topic, "orders-dlq")
    assert.strictEqual(letter.partition, 3)
    assert.strictEqual(letter.key, source.key)
    assert.strictEqual(letter.value, source.value)
    assert.deepStrictEqual(headersOf(letter).slice(0, 3), source.headers)
    assert.deepStrictEqual(Object.fromEntries(Headers.toText(headersOf(letter).slice(3))), {
      "x-event-id": "orders-3-42",
      "x-retry-count": "3",
      "x-error-message": "déclined",
      "x-failed-timestamp": "2026-01-02T03:04:05.006Z",
      "x-original-topic": "orders",
      "x-original-partition": "3",
      "x-original-offset": "42",
      "x-original-timestamp": "1700000000123",
      "x-original-group": "billing",
      "x-error-type": "CardDeclined"
    })
  })

  it("keeps tombstones and missing keys", () => {
    const letter = dead({ ...source, key: null, value: null })
    assert.isNull(letter.key)
    assert.isNull(letter.value)
  })

  it("keeps everything but metadata byte for byte and in order, and has each metadata header once", () => {
    fc.assert(
      fc.property(anyRecord, (record) => {
        const letter = dead(record)
        const own = (headers: Headers.Headers) => headers.filter(([name]) => !name.startsWith("x-"))
        assert.strictEqual(letter.key, record.key)
        assert.strictEqual(letter.value, record.value)
        assert.deepStrictEqual(own(headersOf(letter)), own(record.headers))
        for (const name of metadataNames.filter((name) => name !== "x-event-id")) {
          assert.strictEqual(Headers.getAll(headersOf(letter), name).length, 1)
        }
      })
    )
  })

  it("replaces the metadata of an earlier dead letter and keeps the event id", () => {
    fc.assert(
      fc.property(anyRecord, (record) => {
        const first = read(dead(record))
        const second = read(dead(first), { topic: "orders-dlq-dlq" })
        assert.deepStrictEqual(
          second.headers.map(([name]) => name).toSorted(),
          first.headers.map(([name]) => name).toSorted()
        )
        const [before, after] = [first, second].map((record) => Option.getOrThrow(DeadLetter.metadata(record)))
        assert.strictEqual(after!.eventId, before!.eventId)
        assert.strictEqual(after!.topic, "orders-dlq")
        assert.strictEqual(after!.offset, 7)
      })
    )
  })

  it("leaves the event id's header in its place", () => {
    const headers = Headers.make([
      ["x-event-id", "e-1"],
      ["a", "1"]
    ])
    assert.deepStrictEqual(headersOf(dead({ ...source, headers })).slice(0, 2), headers)
  })

  it("cuts the message at 1,024 characters without splitting a pair", () => {
    const message = (text: string) =>
      Option.getOrThrow(Headers.getText(headersOf(dead(source, {}, text)), "x-error-message"))
    assert.strictEqual(message("x".repeat(2_000)), "x".repeat(1_024))
    assert.strictEqual(message(`${"x".repeat(1_023)}😀`), "x".repeat(1_023))
    assert.strictEqual(message("é".repeat(1_024)), "é".repeat(1_024))
  })

  it("names the kind of error inside a NonRetryableError", () => {
    const letter = dead(source, {}, new NonRetryableError({ cause: new RangeError("far") }))
    const metadata = Option.getOrThrow(DeadLetter.metadata(read(letter)))
    assert.strictEqual(metadata.errorType, "RangeError")
    assert.strictEqual(metadata.errorMessage, "far")
  })

  it("shrinks to the fields that identify the original", () => {
    const letter = dead(source, { metadata: "minimal" })
    assert.deepStrictEqual(Object.fromEntries(Headers.toText(headersOf(letter).slice(3))), {
      "x-event-id": "orders-3-42",
      "x-retry-count": "3",
      "x-original-topic": "orders",
      "x-original-partition": "3",
      "x-original-offset": "42"
    })
  })

  it("uses custom names, and replaces headers by them", () => {
    const headers = { retryCount: "retries", errorMessage: "error", failedTimestamp: "failed" }
    const twice = dead(read(dead(source, { headers })), { headers })
    for (const name of Object.values(headers)) {
      assert.strictEqual(Headers.getAll(headersOf(twice), name).length, 1)
    }
    const names = headersOf(twice).map(([name]) => name)
    assert.notInclude(names, "x-retry-count")
    assert.strictEqual(Option.getOrThrow(DeadLetter.metadata(read(twice), { headers })).retryCount, 3)
  })
})

describe("DeadLetter.metadata", () => {
  it("reads what it writes", () => {
    assert.deepStrictEqual(
      DeadLetter.metadata(read(dead(source))),
      Option.some({
        eventId: "orders-3-42",
        retryCount: 3,
        errorMessage: "déclined",
        errorType: "CardDeclined",
        errorStack: undefined,
        failedAt: Date.UTC(2026, 0, 2, 3, 4, 5, 6),
        topic: "orders",
        partition: 3,
        offset: 42,
        timestamp: 1_700_000_000_123,
        groupId: "billing"
      })
    )
  })

  it("is none for any other record", () => {
    assert.deepStrictEqual(DeadLetter.metadata(source), Option.none())
    const headers = Headers.fromRecord({ "x-event-id": "e-1" })
    assert.deepStrictEqual(DeadLetter.metadata({ ...source, headers }), Option.none())
  })

  it("leaves out missing and unreadable fields", () => {
    const headers = Headers.fromRecord({
      "x-retry-count": "many",
      "x-failed-timestamp": "yesterday",
      "x-original-offset": "99999999999999999999",
      "x-original-partition": null,
      "x-original-topic": "orders"
    })
    const metadata = Option.getOrThrow(DeadLetter.metadata({ ...source, headers }))
    assert.deepStrictEqual(metadata, {
      eventId: "orders-3-42",
      retryCount: undefined,
      errorMessage: undefined,
      errorType: undefined,
      errorStack: undefined,
      failedAt: undefined,
      topic: "orders",
      partition: undefined,
      offset: undefined,
      timestamp: undefined,
      groupId: undefined
    })
  })
})
