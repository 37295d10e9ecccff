/**
 * The tags from which `@effect/opentelemetry` 0.64 reads the sampled flag and the trace state of a remote parent; it
 * ignores `ExternalSpan.sampled`.
 */
import * as Context from "effect/Context"

/** The `TraceState` of `@opentelemetry/api`. */
interface TraceState {
  readonly set: (key: string, value: string) => TraceState
  readonly unset: (key: string) => TraceState
  readonly get: (key: string) => string | undefined
  readonly serialize: () => string
}

const TraceFlags = Context.GenericTag<never, number>("@effect/opentelemetry/Tracer/OtelTraceFlags")
const TraceStateTag = Context.GenericTag<never, TraceState>("@effect/opentelemetry/Tracer/OtelTraceState")

type Members = ReadonlyArray<readonly [key: string, value: string]>

const traceState = (members: Members): TraceState => {
  const without = (key: string) => members.filter(([name]) => name !== key)
  return {
    // The newest member comes first, as the W3C recommendation requires.
    set: (key, value) => traceState([[key, value], ...without(key)]),
    unset: (key) => traceState(without(key)),
    get: (key) => members.find(([name]) => name === key)?.[1],
    serialize: () => members.map(([key, value]) => `${key}=${value}`).join(",")
  }
}

const parse = (text: string): Members =>
  text.split(",").flatMap((member) => {
    const at = member.indexOf("=")
    return at > 0 ? [[member.slice(0, at).trim(), member.slice(at + 1).trim()] as const] : []
  })

export const make = (flags: number, state: string | undefined): Context.Context<never> => {
  const context = Context.make(TraceFlags, flags)
  return state === undefined ? context : Context.add(context, TraceStateTag, traceState(parse(state)))
}
