import * as OtelTracer from "@effect/opentelemetry/Tracer"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import * as fc from "fast-check"
import * as Headers from "../../src/Headers.js"
import * as TraceContext from "../../src/internal/traceContext.js"

const traceId = "0af7651916cd43dd8448eb211c80319c"
const spanId = "b7ad6b7169203331"
const parent = `00-${traceId}-${spanId}-01`

const read = (headers: Record<string, Headers.HeaderValue>) => TraceContext.read(Headers.fromRecord(headers))

describe("trace context", () => {
  it("is read from the bytes of a record's headers, with names in any case", () => {
    const span = read({ other: "x", TraceParent: parent, Tracestate: "a=1,b=2" })
    assert.isDefined(span)
    assert.deepStrictEqual(
      [span.traceId, span.spanId, span.sampled, span.traceState],
      [traceId, spanId, true, "a=1,b=2"]
    )
    assert.isFalse(read({ traceparent: `00-${traceId}-${spanId}-00` })?.sampled)
    assert.isTrue(read({ traceparent: `00-${traceId}-${spanId}-03` })?.sampled)
  })

  it("is read from later versions too, which may have more fields", () => {
    assert.strictEqual(read({ traceparent: `cc-${traceId}-${spanId}-01-what` })?.traceId, traceId)
    assert.strictEqual(read({ traceparent: `cc-${traceId}-${spanId}-01` })?.traceId, traceId)
  })

  it("is none when the header breaks the format", () => {
    for (const text of [
      "",
      "00",
      `ff-${traceId}-${spanId}-01`,
      `00-${traceId}-${spanId}-01-what`,
      `cc-${traceId}-${spanId}-01what`,
      `00-${traceId.toUpperCase()}-${spanId}-01`,
      `00-${"0".repeat(32)}-${spanId}-01`,
      `00-${traceId}-${"0".repeat(16)}-01`,
      `00-${traceId}-${spanId}-0g`,
      `00_${traceId}-${spanId}-01`,
      `00-noop-noop-00`,
      ` ${parent}`
    ]) {
      assert.isUndefined(read({ traceparent: text }), text)
    }
    assert.isUndefined(read({ traceparent: null }))
    assert.isUndefined(read({ tracestate: "a=1" }))
  })

  it("is the last of several, as Kafka's lastHeader; several states form one list", () => {
    const other = `00-${traceId}-${"1".repeat(16)}-01`
    const headers = Headers.make([
      ["traceparent", parent],
      ["tracestate", "a=1"],
      ["traceparent", other],
      ["tracestate", "b=2"]
    ])
    const span = TraceContext.read(headers)
    assert.strictEqual(span?.spanId, "1".repeat(16))
    assert.strictEqual(span?.traceState, "a=1,b=2")
  })

  it("leaves out a state that is not valid header text", () => {
    assert.isUndefined(read({ traceparent: parent, tracestate: "a=é" })?.traceState)
    assert.isUndefined(read({ traceparent: parent, tracestate: "" })?.traceState)
    assert.isUndefined(read({ traceparent: parent, tracestate: new Uint8Array([0xff, 0xfe]) })?.traceState)
  })

  it("never throws on any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.uint8Array({ maxLength: 20 }), (traceparent, tracestate) => {
        const span = TraceContext.read(Headers.fromRecord({ traceparent, tracestate }))
        if (span !== undefined) assert.match(span.traceId + span.spanId, /^[0-9a-f]{48}$/)
      })
    )
  })

  it("replaces the headers' own context and keeps all other headers unchanged", () => {
    const span = Tracer.externalSpan({ traceId, spanId, sampled: false })
    const headers = Headers.fromRecord({ a: "1", Traceparent: "old", b: null, tracestate: "old=1" })
    assert.deepStrictEqual(Headers.toText(TraceContext.write(headers, span)), [
      ["a", "1"],
      ["b", null],
      ["traceparent", `00-${traceId}-${spanId}-00`]
    ])
  })

  it("keeps the state and the random flag of the trace that a span continues, and of no other", () => {
    const remote = read({ traceparent: `00-${traceId}-${spanId}-03`, tracestate: "vendor=x" })!
    const child = (trace: string): Tracer.Span =>
      ({
        ...Tracer.externalSpan({ traceId: trace, spanId: "2".repeat(16) }),
        _tag: "Span",
        parent: Option.some(remote)
      }) as unknown as Tracer.Span
    assert.deepStrictEqual(Headers.toText(TraceContext.write([], child(traceId))), [
      ["traceparent", `00-${traceId}-${"2".repeat(16)}-03`],
      ["tracestate", "vendor=x"]
    ])
    assert.deepStrictEqual(Headers.toText(TraceContext.write([], child("3".repeat(32)))), [
      ["traceparent", `00-${"3".repeat(32)}-${"2".repeat(16)}-01`]
    ])
  })

  it("reads back what it wrote", () => {
    const digits = (length: number) =>
      fc
        .array(fc.integer({ min: 0, max: 15 }), { minLength: length, maxLength: length })
        .map((values) => values.map((value) => value.toString(16)).join(""))
        .filter((text) => !/^0+$/.test(text))
    fc.assert(
      fc.property(digits(32), digits(16), fc.boolean(), (traceId, spanId, sampled) => {
        const span = TraceContext.read(TraceContext.write([], Tracer.externalSpan({ traceId, spanId, sampled })))
        assert.deepStrictEqual([span?.traceId, span?.spanId, span?.sampled], [traceId, spanId, sampled])
      })
    )
  })

  it("gives @effect/opentelemetry the flags and state as that module's own external spans do", () => {
    const expected = OtelTracer.makeExternalSpan({ traceId, spanId, traceFlags: 0, traceState: "a=1,b=2" })
    const { context } = read({ traceparent: `00-${traceId}-${spanId}-00`, tracestate: "a=1,b=2" })!
    for (const [key, value] of expected.context.unsafeMap) {
      const own = context.unsafeMap.get(key) as typeof value
      if (typeof value === "object") {
        assert.strictEqual(own.serialize(), value.serialize())
        assert.strictEqual(own.get("b"), value.get("b"))
        assert.strictEqual(own.set("b", "3").unset("a").serialize(), value.set("b", "3").unset("a").serialize())
      } else assert.strictEqual(own, value)
    }
    assert.strictEqual(context.unsafeMap.size, expected.context.unsafeMap.size)
    assert.strictEqual(expected.context.unsafeMap.size, 2)
  })
})

describe("nearest", () => {
  const valid = Tracer.externalSpan({ traceId, spanId })
  const inside = (parent: Tracer.AnySpan, context: Context.Context<never>, ids = { traceId, spanId: "9".repeat(16) }) =>
    ({
      ...Tracer.externalSpan({ ...ids, context }),
      _tag: "Span",
      parent: Option.some(parent)
    }) as unknown as Tracer.Span

  it("skips spans that other services may not continue", () => {
    const disabled = inside(valid, Context.make(Tracer.DisablePropagation, true))
    assert.strictEqual(TraceContext.nearest(disabled), valid)
    assert.strictEqual(TraceContext.nearest(inside(valid, Context.empty(), { traceId: "noop", spanId: "noop" })), valid)
    assert.strictEqual(TraceContext.nearest(valid), valid)
    assert.isUndefined(TraceContext.nearest(Tracer.externalSpan({ traceId: "0".repeat(32), spanId })))
    assert.isUndefined(TraceContext.nearest(undefined))
  })

  it("looks through the stand-in for an unsampled context", () => {
    assert.strictEqual(TraceContext.nearest(new TraceContext.Unsampled(valid)), valid)
    assert.isUndefined(TraceContext.nearest(new TraceContext.Unsampled(undefined)))
  })
})
