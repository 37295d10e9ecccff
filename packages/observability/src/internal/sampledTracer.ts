/**
 * Parent-based sampling for the native OTLP tracer, which samples everything.
 */
import type * as Context from "effect/Context"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"

const randomHex = (length: number): string => {
  let digits = ""
  while (digits.length < length)
    digits += Math.floor(Math.random() * 0x1000000)
      .toString(16)
      .padStart(6, "0")
  return digits.slice(-length)
}

const noAttributes: ReadonlyMap<string, unknown> = new Map()

/** A span that is not exported. It is nearly free; its ids are generated when its context is passed on. */
class UnsampledSpan implements Tracer.Span {
  readonly _tag = "Span"
  readonly sampled = false
  private ownTraceId: string | undefined
  private ownSpanId: string | undefined
  constructor(
    readonly name: string,
    readonly parent: Option.Option<Tracer.AnySpan>,
    readonly context: Context.Context<never>,
    readonly links: ReadonlyArray<Tracer.SpanLink>,
    private readonly startTime: bigint,
    readonly kind: Tracer.SpanKind
  ) {}
  get status(): Tracer.SpanStatus {
    return { _tag: "Started", startTime: this.startTime }
  }
  get attributes(): ReadonlyMap<string, unknown> {
    return noAttributes
  }
  get traceId(): string {
    this.ownTraceId ??= Option.match(this.parent, { onNone: () => randomHex(32), onSome: ({ traceId }) => traceId })
    return this.ownTraceId
  }
  get spanId(): string {
    this.ownSpanId ??= randomHex(16)
    return this.ownSpanId
  }
  end(): void {}
  attribute(): void {}
  event(): void {}
  addLinks(): void {}
}

/** Samples this share of the traces that begin here; other spans follow their parent's decision. */
export const make = (tracer: Tracer.Tracer, ratio: number): Tracer.Tracer =>
  Tracer.make({
    context: (execute, fiber) => tracer.context(execute, fiber),
    span: (name, parent, context, links, startTime, kind, options) => {
      const sampled = Option.isSome(parent) ? parent.value.sampled : Math.random() < ratio
      return sampled
        ? tracer.span(name, parent, context, links, startTime, kind, options)
        : new UnsampledSpan(name, parent, context, links, startTime, kind)
    }
  })
