/**
 * W3C trace context (https://www.w3.org/TR/trace-context/) in record headers: `traceparent` and `tracestate`.
 */
import * as Context from "effect/Context"
import * as Tracer from "effect/Tracer"
import * as Headers from "../Headers.js"
import * as OtelContext from "./otelContext.js"

const parentHeader = "traceparent"
const stateHeader = "tracestate"

/** `version-traceid-parentid-flags`; later versions may have more fields. */
const length = 55

const dash = 0x2d

const isHex = (byte: number): boolean => (byte >= 0x30 && byte <= 0x39) || (byte >= 0x61 && byte <= 0x66)

const valueOf = (byte: number): number => (byte <= 0x39 ? byte - 0x30 : byte - 0x57)

/** Whether the text from `start` to `end` is lower-case hexadecimal and not all zeros. */
const isId = (bytes: Uint8Array, start: number, end: number): boolean => {
  let zero = true
  for (let i = start; i < end; i++) {
    const byte = bytes[i]!
    if (!isHex(byte)) return false
    if (byte !== 0x30) zero = false
  }
  return !zero
}

const isParent = (bytes: Uint8Array): boolean => {
  if (bytes.length < length || !isHex(bytes[0]!) || !isHex(bytes[1]!)) return false
  const version = valueOf(bytes[0]!) * 16 + valueOf(bytes[1]!)
  if (version === 0xff || (bytes.length > length && (version === 0 || bytes[length] !== dash))) return false
  return (
    bytes[2] === dash &&
    isId(bytes, 3, 35) &&
    bytes[35] === dash &&
    isId(bytes, 36, 52) &&
    bytes[52] === dash &&
    isHex(bytes[53]!) &&
    isHex(bytes[54]!)
  )
}

const decoder = new TextDecoder()

const text = (bytes: Uint8Array, start = 0, end = bytes.length): string => decoder.decode(bytes.subarray(start, end))

const isPrintable = (text: string): boolean => /^[\t\x20-\x7e]+$/.test(text)

const sampledFlag = 1
const randomFlag = 2

/** The span that a record was sent in, read lazily from its headers. */
export class RemoteSpan implements Tracer.ExternalSpan {
  readonly _tag = "ExternalSpan"
  private otel: Context.Context<never> | undefined
  constructor(
    private readonly parent: Uint8Array,
    /** All values of `tracestate`; several form one list. */
    private readonly states: ReadonlyArray<Uint8Array>
  ) {}
  get traceId(): string {
    return text(this.parent, 3, 35)
  }
  get spanId(): string {
    return text(this.parent, 36, 52)
  }
  get flags(): number {
    return valueOf(this.parent[53]!) * 16 + valueOf(this.parent[54]!)
  }
  get sampled(): boolean {
    return (this.flags & sampledFlag) !== 0
  }
  get traceState(): string | undefined {
    const state = this.states.map((state) => text(state)).join(",")
    return isPrintable(state) ? state : undefined
  }
  get context(): Context.Context<never> {
    this.otel ??= OtelContext.make(this.flags, this.traceState)
    return this.otel
  }
}

/**
 * The parent that handlers see while a record's trace isn't sampled. The fiber that handles a lane's records keeps one
 * for all of them, since providing one per record would cost more than everything else done for a record.
 */
export class Unsampled implements Tracer.ExternalSpan {
  readonly _tag = "ExternalSpan"
  readonly sampled = false
  constructor(public of: Tracer.AnySpan | undefined) {}
  get traceId(): string {
    return this.of?.traceId ?? ""
  }
  get spanId(): string {
    return this.of?.spanId ?? ""
  }
  get context(): Context.Context<never> {
    return this.of?.context ?? unpropagated
  }
}

const unpropagated: Context.Context<never> = Context.make(Tracer.DisablePropagation, true)

const noStates: ReadonlyArray<Uint8Array> = []

/** Case-insensitive; an invalid header has no name. */
const isNamed = (header: Headers.Header, lower: string): boolean => {
  const name = header[0]
  return name === lower || (name?.length === lower.length && String(name).toLowerCase() === lower)
}

/** The last valid `traceparent` of a record with its `tracestate`; header names match in any case. */
export const read = (headers: Headers.Headers): RemoteSpan | undefined => {
  let parent: Uint8Array | undefined
  let states = noStates
  for (let i = 0; i < headers.length; i++) {
    const header = headers[i]!
    const value = header[1]
    if (value === null) continue
    if (isNamed(header, parentHeader)) parent = value
    else if (isNamed(header, stateHeader)) states = [...states, value]
  }
  return parent !== undefined && isParent(parent) ? new RemoteSpan(parent, states) : undefined
}

const isTraceContext = (header: Headers.Header): boolean =>
  isNamed(header, parentHeader) || isNamed(header, stateHeader)

const validTraceId = /^(?!0{32})[0-9a-f]{32}$/
const validSpanId = /^(?!0{16})[0-9a-f]{16}$/

/** The nearest span that other services may continue: disabled tracers make spans that they may not. */
export const nearest = (span: Tracer.AnySpan | undefined): Tracer.AnySpan | undefined => {
  for (let at = resolve(span); at !== undefined; at = parentOf(at)) {
    if (Context.get(at.context, Tracer.DisablePropagation)) continue
    if (at instanceof RemoteSpan || (validTraceId.test(at.traceId) && validSpanId.test(at.spanId))) return at
  }
  return undefined
}

/** The remote span that a trace came from. */
export const remoteOf = (span: Tracer.AnySpan | undefined): RemoteSpan | undefined => {
  let at = resolve(span)
  while (at !== undefined && !(at instanceof RemoteSpan)) at = parentOf(at)
  return at
}

const resolve = (span: Tracer.AnySpan | undefined): Tracer.AnySpan | undefined =>
  span instanceof Unsampled ? span.of : span

const parentOf = (span: Tracer.AnySpan): Tracer.AnySpan | undefined =>
  span._tag === "Span" && span.parent._tag === "Some" ? resolve(span.parent.value) : undefined

/** The headers with a span's context replacing their own. */
export const write = (headers: Headers.Headers, span: Tracer.AnySpan): Headers.Headers => {
  const remote = remoteOf(span)
  const inherited = remote?.traceId === span.traceId ? remote : undefined
  const flags = ((inherited?.flags ?? 0) & randomFlag) | (span.sampled ? sampledFlag : 0)
  const kept = headers.some(isTraceContext) ? headers.filter((header) => !isTraceContext(header)) : headers
  const state = inherited?.traceState
  return [
    ...kept,
    ...Headers.make([
      [parentHeader, `00-${span.traceId}-${span.spanId}-0${flags}`],
      ...(state === undefined ? [] : [[stateHeader, state] as const])
    ])
  ]
}
