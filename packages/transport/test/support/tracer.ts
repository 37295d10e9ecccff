/** A tracer that records its spans for tests. */
import type * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"

export interface Recorded extends Tracer.Span {
  /** Set when it has ended. */
  ending: { readonly at: bigint; readonly exit: Exit.Exit<unknown, unknown> } | undefined
}

export interface Recorder {
  /** In the order in which they started. */
  readonly spans: Array<Recorded>
  readonly first: () => Recorded
  readonly named: (name: string) => ReadonlyArray<Recorded>
  readonly layer: Layer.Layer<never>
}

/** Span ids count up from 1; `samples` decides for each root, and its children follow. */
export const make = (samples: () => boolean = () => true): Recorder => {
  const spans: Array<Recorded> = []
  const id = (length: number) => (spans.length + 1).toString(16).padStart(length, "0")
  const tracer = Tracer.make({
    span: (name, parent, context, links, startTime, kind) => {
      const attributes = new Map<string, unknown>()
      const all = [...links]
      const span: Recorded = {
        _tag: "Span",
        name,
        parent,
        context,
        kind,
        attributes,
        links: all,
        spanId: id(16),
        traceId: Option.match(parent, { onNone: () => id(32), onSome: ({ traceId }) => traceId }),
        sampled: Option.match(parent, { onNone: samples, onSome: ({ sampled }) => sampled }),
        status: { _tag: "Started", startTime },
        ending: undefined,
        attribute: (key, value) => void attributes.set(key, value),
        event: () => {},
        addLinks: (more) => void all.push(...more),
        end: (at, exit) => {
          span.ending = { at, exit }
        }
      }
      spans.push(span)
      return span
    },
    context: (execute) => execute()
  })
  return {
    spans,
    first: () => spans[0]!,
    named: (name) => spans.filter((span) => span.name === name),
    layer: Layer.setTracer(tracer)
  }
}

export const parentOf = (span: Tracer.Span): string | undefined =>
  Option.getOrUndefined(Option.map(span.parent, ({ spanId }) => spanId))

export const linksOf = (span: Tracer.Span): ReadonlyArray<string> => span.links.map(({ span }) => span.spanId)
