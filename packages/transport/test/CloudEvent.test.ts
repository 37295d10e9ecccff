import { assert, describe, it } from "@effect/vitest"
import { Kafka, CloudEvent as Reference } from "cloudevents"
import * as Either from "effect/Either"
import * as fc from "fast-check"
import * as CloudEvent from "../src/CloudEvent.js"
import * as Headers from "../src/Headers.js"

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

const text = (bytes: Uint8Array | null): string => new TextDecoder().decode(bytes ?? assert.fail("a tombstone"))

const written = (event: CloudEvent.CloudEvent) => Either.getOrThrow(CloudEvent.toRecord(event))

type Record = Parameters<typeof CloudEvent.fromRecord>[0]

const read = (record: Record): CloudEvent.CloudEvent => Either.getOrThrow(CloudEvent.fromRecord(record))

const failure = <A>(result: Either.Either<A, CloudEvent.CloudEventError>): string =>
  Either.match(result, { onLeft: ({ message }) => message, onRight: () => assert.fail("succeeded") })

const structured = (value: string | null, contentType = "application/cloudevents+json"): Record => ({
  headers: Headers.fromRecord({ "content-type": contentType }),
  value: value === null ? null : utf8(value)
})

const required = { ce_specversion: "1.0", ce_id: "e-1", ce_type: "order.placed.v1", ce_source: "/shop" }

const binary = (headers: { readonly [name: string]: Headers.HeaderValue }): Record => ({
  headers: Headers.fromRecord({ ...required, ...headers }),
  value: null
})

/** Text that CloudEvents allows. */
const anyText = fc
  .string({ unit: "binary", minLength: 1 })
  .filter((text) => !/[\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}]/u.test(text))

const optional = <A>(arbitrary: fc.Arbitrary<A>) => fc.option(arbitrary, { nil: undefined })

const anyExtensions = fc.dictionary(
  fc
    .stringMatching(/^[a-z0-9]{1,20}$/)
    .filter((name) => !/^(data|id|type|source|specversion|time|subject|datacontenttype|dataschema)$/.test(name)),
  anyText,
  { noNullPrototype: true }
)

const anyEvent: fc.Arbitrary<CloudEvent.CloudEvent> = fc.record({
  attributes: fc.record({
    id: anyText,
    type: anyText,
    source: fc.constantFrom("/shop", "https://shop.example/a?b=c#d", "urn:uuid:6e8bc430", "shop", "a%20b"),
    time: optional(
      fc.integer({ min: Date.parse("0000-01-01T00:00:00.000Z"), max: Date.parse("9999-12-31T23:59:59.999Z") })
    ),
    subject: optional(anyText),
    dataContentType: optional(fc.oneof(anyText, fc.constantFrom("application/json", "text/plain; charset=utf-8"))),
    dataSchema: optional(fc.constantFrom("https://shop.example/order.json", "urn:order:1")),
    extensions: anyExtensions
  }),
  data: fc.option(fc.uint8Array())
})

describe("CloudEvent in binary mode", () => {
  it("reads what it writes", () => {
    fc.assert(fc.property(anyEvent, (event) => assert.deepStrictEqual(read(written(event)), event)))
  })

  it("is written as the Kafka binding specifies", () => {
    const { headers, value } = written({
      attributes: {
        id: "e-1",
        type: "order.placed.v1",
        source: "/shop",
        time: Date.UTC(2026, 0, 2, 3, 4, 5, 6),
        subject: "öre",
        dataContentType: "application/json",
        dataSchema: "https://shop.example/order.json",
        extensions: { tenant: "a" }
      },
      data: utf8("{}")
    })
    assert.deepStrictEqual(Headers.toText(headers), [
      ["ce_specversion", "1.0"],
      ["ce_id", "e-1"],
      ["ce_type", "order.placed.v1"],
      ["ce_source", "/shop"],
      ["ce_time", "2026-01-02T03:04:05.006Z"],
      ["ce_subject", "öre"],
      ["ce_dataschema", "https://shop.example/order.json"],
      ["ce_tenant", "a"],
      ["content-type", "application/json"]
    ])
    assert.strictEqual(text(value), "{}")
  })

  it("rejects attributes that the standard forbids or that would read back as another event", () => {
    const valid = { id: "e-1", type: "t", source: "/shop", extensions: {} }
    const refused = (attributes: Partial<CloudEvent.CloudEventAttributes>) =>
      failure(CloudEvent.toRecord({ attributes: { ...valid, ...attributes }, data: null }))
    assert.strictEqual(refused({ id: "" }), "InvalidAttribute: id: is empty")
    assert.strictEqual(refused({ subject: "" }), "InvalidAttribute: subject: is empty")
    assert.strictEqual(refused({ type: "a\nb" }), "InvalidAttribute: type: has characters that CloudEvents forbids")
    assert.strictEqual(
      refused({ subject: "\uD800" }),
      "InvalidAttribute: subject: has characters that CloudEvents forbids"
    )
    assert.strictEqual(refused({ source: "a b" }), "InvalidAttribute: source: is not a URI reference")
    assert.strictEqual(refused({ dataSchema: "/order.json" }), "InvalidAttribute: dataschema: is not a URI")
    for (const time of [Number.NaN, Number.POSITIVE_INFINITY, Date.UTC(10_000, 0, 1), Date.UTC(-1, 11, 31)]) {
      assert.strictEqual(refused({ time }), "InvalidAttribute: time: is outside the years 0 to 9999")
    }
    assert.strictEqual(
      refused({ dataContentType: " Application/CloudEvents+json" }),
      "InvalidAttribute: datacontenttype: would be read as structured mode"
    )
    for (const name of ["id", "data", "specversion", "Tenant", "a_b", ""]) {
      assert.strictEqual(
        refused({ extensions: { [name]: "a" } }),
        `InvalidAttribute: ${name}: is not a valid extension name`
      )
    }
    assert.strictEqual(
      refused({ extensions: { tenant: "\0" } }),
      "InvalidAttribute: tenant: has characters that CloudEvents forbids"
    )
  })

  it("takes the last of repeated headers, treats null as absent, and ignores other names", () => {
    const event = read({
      headers: [
        ...Headers.fromRecord({ ...required, ce_subject: "a", ce_tenant: "a", ce_data: "x", ce_data_base64: "x" }),
        ...Headers.make([
          ["ce_id", "e-2"],
          ["ce_subject", null],
          ["ce_datacontenttype", "text/plain"],
          ["ce_dataschema", ""],
          ["CE_X", "x"],
          ["trace", "t-1"]
        ])
      ],
      value: utf8("1")
    })
    assert.deepStrictEqual(event, {
      attributes: {
        id: "e-2",
        type: "order.placed.v1",
        source: "/shop",
        time: undefined,
        subject: undefined,
        dataContentType: undefined,
        dataSchema: undefined,
        extensions: { tenant: "a" }
      },
      data: utf8("1")
    })
  })

  it("reports missing and invalid attributes", () => {
    const refused = (headers: { readonly [name: string]: Headers.HeaderValue }) =>
      failure(CloudEvent.fromRecord(binary(headers)))
    assert.strictEqual(
      failure(CloudEvent.fromRecord({ headers: [], value: utf8("{}") })),
      "NotCloudEvent: specversion is missing"
    )
    assert.strictEqual(refused({ ce_specversion: "0.3" }), "InvalidAttribute: specversion: must be 1.0")
    assert.strictEqual(refused({ ce_id: "" }), "InvalidAttribute: id: is missing")
    assert.strictEqual(refused({ ce_type: null }), "InvalidAttribute: type: is missing")
    assert.strictEqual(refused({ ce_source: null }), "InvalidAttribute: source: is missing")
    assert.strictEqual(refused({ ce_tenant: Uint8Array.of(0xff) }), "InvalidAttribute: tenant: is not UTF-8")
    for (const ce_time of ["yesterday", "2026-01-02", "2026-13-02T00:00:00Z", "2026-01-02T03:04:05", "1767322800000"]) {
      assert.strictEqual(refused({ ce_time }), "InvalidAttribute: time: is not an RFC 3339 timestamp", ce_time)
    }
  })

  it("reads every RFC 3339 form of a time", () => {
    const time = Date.UTC(2026, 0, 2, 3, 4, 5)
    const of = (ce_time: string) => read(binary({ ce_time })).attributes.time
    assert.strictEqual(of("2026-01-02T03:04:05Z"), time)
    assert.strictEqual(of("2026-01-02t05:04:05.1+02:00"), time + 100)
    assert.strictEqual(of("2026-01-02T02:34:05.123456789-00:30"), time + 123)
  })
})

describe("CloudEvent in structured mode", () => {
  it("is rejected if its data is nested too deeply to be written", () => {
    const depth = 100_000
    const deep = `${"[".repeat(depth)}${"]".repeat(depth)}`
    const value = `{"specversion":"1.0","id":"e-1","type":"order.placed.v1","source":"/shop","data":${deep}}`
    assert.strictEqual(failure(CloudEvent.fromRecord(structured(value))), "InvalidJson: data: is nested too deeply")
  })

  const attributes = { specversion: "1.0", id: "e-1", type: "order.placed.v1", source: "/shop" }
  const event = (members: object) => JSON.stringify({ ...attributes, ...members })
  const data = (members: object) => {
    const bytes = read(structured(event(members))).data
    return bytes === null ? null : text(bytes)
  }

  it("reads attributes and data, with any parameters and case of the media type", () => {
    const value = event({
      time: "2026-01-02T03:04:05Z",
      subject: null,
      datacontenttype: "application/json",
      tenant: "a",
      retries: 3,
      urgent: true,
      Other: {},
      data: { total: 1 }
    })
    assert.deepStrictEqual(read(structured(value, "Application/CloudEvents+JSON; charset=UTF-8")), {
      attributes: {
        id: "e-1",
        type: "order.placed.v1",
        source: "/shop",
        time: Date.UTC(2026, 0, 2, 3, 4, 5),
        subject: undefined,
        dataContentType: "application/json",
        dataSchema: undefined,
        extensions: { tenant: "a", retries: "3", urgent: "true" }
      },
      data: utf8('{"total":1}')
    })
  })

  it("has the same data bytes as in binary mode", () => {
    assert.strictEqual(data({ data: "a" }), '"a"')
    assert.strictEqual(data({ data: null }), "null")
    assert.strictEqual(data({ datacontenttype: "application/vnd.shop+json", data: "a" }), '"a"')
    assert.strictEqual(data({ datacontenttype: "text/xml", data: "<a/>" }), "<a/>")
    assert.strictEqual(data({ data_base64: "eyJhIjoxfQ==" }), '{"a":1}')
    assert.isNull(data({}))
  })

  it("reads any JSON data", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) =>
        assert.deepStrictEqual(JSON.parse(data({ data: value })!), JSON.parse(JSON.stringify(value)))
      )
    )
  })

  it("reports invalid events", () => {
    const refused = (value: string | null, contentType?: string) =>
      failure(CloudEvent.fromRecord(structured(value, contentType)))
    assert.strictEqual(refused(null), "InvalidJson: expected an event, got a tombstone")
    assert.strictEqual(refused("{"), "InvalidJson: 1 bytes")
    assert.strictEqual(refused("[]"), "NotCloudEvent: the value is not a JSON object")
    assert.strictEqual(refused("{}"), "NotCloudEvent: specversion is missing")
    assert.strictEqual(refused(event({ id: 1 })), "InvalidAttribute: id: has the wrong type")
    assert.strictEqual(refused(event({ tenant: {} })), "InvalidAttribute: tenant: has the wrong type")
    assert.strictEqual(
      refused(event({ data: 1, data_base64: "" })),
      "InvalidAttribute: data_base64: can't be combined with data"
    )
    assert.strictEqual(refused(event({ data_base64: "!" })), "InvalidAttribute: data_base64: is not Base64")
    assert.strictEqual(refused(event({ data_base64: 1 })), "InvalidAttribute: data_base64: is not Base64")
    for (const format of ["application/cloudevents+avro", "application/cloudevents-batch+json"]) {
      assert.strictEqual(
        refused(event({}), format),
        "UnsupportedFormat: the only supported structured format is application/cloudevents+json"
      )
    }
  })

  it("never fails otherwise", () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.json(), fc.boolean(), (bytes, json, isJson) => {
        const { headers } = structured("")
        assert.isTrue(Either.isEither(CloudEvent.fromRecord({ headers, value: isJson ? utf8(json) : bytes })))
      })
    )
  })
})

describe("CloudEvent with the cloudevents package", () => {
  const source = "https://shop.example/orders"
  const jsonEvent = fc.record({
    id: fc.uuid(),
    type: fc.constantFrom("order.placed.v1", "com.example.object.deleted"),
    time: fc.integer({ min: 0, max: 4e12 }),
    subject: anyText,
    tenant: anyText,
    data: fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 1 }), { noNullPrototype: true })
  })

  it("writes events that the package reads", () => {
    fc.assert(
      fc.property(jsonEvent, ({ data, tenant, ...attributes }) => {
        const { headers, value } = written({
          attributes: {
            ...attributes,
            source,
            dataContentType: "application/json",
            dataSchema: "https://shop.example/order.json",
            extensions: { tenant }
          },
          data: utf8(JSON.stringify(data))
        })
        const event = Kafka.toEvent<unknown>({
          headers: Object.fromEntries(Headers.toText(headers)) as { [name: string]: string },
          body: undefined,
          value: text(value),
          key: attributes.subject
        } as Parameters<typeof Kafka.toEvent>[0]) as Reference<unknown>
        assert.isTrue(event.cloneWith({}).validate())
        const { id, specversion, subject, time, type } = event
        assert.deepStrictEqual(
          { id, specversion, subject, time: Date.parse(time!), type, tenant: event["tenant"] },
          { ...attributes, specversion: "1.0", tenant }
        )
        assert.strictEqual(event.source, source)
        assert.strictEqual(event.datacontenttype, "application/json")
        assert.strictEqual(event.dataschema, "https://shop.example/order.json")
        assert.deepStrictEqual(event.data, JSON.parse(JSON.stringify(data)))
      })
    )
  })

  it("reads events that the package writes, in either mode", () => {
    fc.assert(
      fc.property(jsonEvent, fc.boolean(), ({ data, time, ...attributes }, isBinary) => {
        const event = new Reference<unknown>({
          ...attributes,
          source,
          time: new Date(time).toISOString(),
          datacontenttype: "application/json",
          data
        })
        const { headers, value } = isBinary ? Kafka.binary(event) : Kafka.structured(event)
        const { attributes: got, data: bytes } = read({
          headers: Headers.fromRecord(
            Object.fromEntries(
              Object.entries(headers).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]]))
            )
          ),
          value: utf8(typeof value === "string" ? value : JSON.stringify(value))
        })
        const { tenant, ...standard } = attributes
        assert.deepStrictEqual(got, {
          ...standard,
          source,
          time,
          dataContentType: "application/json",
          dataSchema: undefined,
          extensions: { tenant }
        })
        assert.deepStrictEqual(JSON.parse(text(bytes)), JSON.parse(JSON.stringify(data)))
      })
    )
  })

  it("reads the package's binary data in structured mode", () => {
    const event = new Reference({
      id: "e-1",
      type: "t",
      source,
      datacontenttype: "application/octet-stream",
      data: Uint8Array.of(0, 255, 7)
    })
    assert.deepStrictEqual(read(structured(String(Kafka.structured(event).value))).data, Uint8Array.of(0, 255, 7))
  })
})
