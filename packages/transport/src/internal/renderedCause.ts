/**
 * Stand-ins for failures of user code that every logger and tracer can render: errors that have only a name, message,
 * stack and cause, all short texts.
 */
import * as Cause from "effect/Cause"
import { isInterruptedOnly, leavesOf } from "./causes.js"
import * as Render from "./render.js"
import { truncate } from "./truncate.js"

/** The maximum total length of a cause's texts. */
const maxText = 7_000

/** The maximum length of one error's message, and of its stack. */
const maxMessage = 2_048
const maxStack = 4_000

/** The maximum number of errors in a cause, and of causes of an error. */
const maxErrors = 5

interface Budget {
  text: number
}

/**
 * Control characters and unpaired surrogates take six characters each in JSON, and could send commands to a terminal.
 */
const unprintable = /(?![\t\n])[\p{Control}\p{Surrogate}]/gu

/** A text that is safe in a log line. */
export const printable = (text: string, maxLength: number): string =>
  truncate(text, maxLength).replaceAll(unprintable, "\ufffd")

const spend = (budget: Budget, text: string, maxLength: number): string => {
  const kept = printable(text, Math.min(maxLength, Math.max(0, budget.text)))
  budget.text -= kept.length
  return kept
}

class RenderedError extends Error {
  constructor(name: string, message: string, stack: string, cause: RenderedError | undefined) {
    super(message, cause && { cause })
    Object.defineProperties(this, { name: { value: name }, stack: { value: stack } })
  }
}

const note = (text: string): RenderedError => new RenderedError("…", text, `…: ${text}`, undefined)

const spanKey = Symbol.for("effect/SpanAnnotation")

/** A stack's frames as Effect's loggers show them: without Effect's own, with the error's spans. */
const framesOf = (error: unknown, head: RenderedError): string => {
  const stack = Render.stackOf(error) ?? ""
  const at = stack.indexOf("\n    at ")
  if (at < 0) return ""
  const title = `${head.name}: ${head.message}`
  const frames = truncate(stack.slice(at), 2 * maxStack)
  try {
    const draft = new RenderedError(head.name, head.message, title + frames, undefined)
    if (Render.has(error, spanKey)) Object.defineProperty(draft, spanKey, { value: Render.read(error, spanKey) })
    return Cause.prettyErrors(Cause.fail(draft))[0]?.stack?.slice(title.length) ?? frames
  } catch {
    return frames
  }
}

const render = (error: unknown, budget: Budget, within: ReadonlyArray<unknown>): RenderedError => {
  if (within.includes(error)) return note("the cause is circular")
  if (within.length > maxErrors || budget.text <= 0) return note("more causes omitted")
  const name = spend(budget, Render.classOf(error), 200)
  const message = spend(budget, Render.messageOf(error) || "no message", maxMessage)
  const frames = spend(budget, framesOf(error, new RenderedError(name, message, "", undefined)), maxStack)
  const cause = Render.isInstance(error, Error) ? Render.read(error, "cause") : undefined
  const inner = cause === undefined ? undefined : render(cause, budget, [...within, error])
  return new RenderedError(name, message, `${name}: ${message}${frames}`, inner)
}

/** A stand-in for an error. */
export const errorOf = (error: unknown): Error => render(error, { text: maxText }, [])

/** A stand-in for a cause: its first errors, in order. An interruption-only cause stays one. */
export const make = (cause: Cause.Cause<unknown>): Cause.Cause<Error> => {
  if (isInterruptedOnly(cause)) return first(cause)
  const budget = { text: maxText }
  let rendered: Cause.Cause<Error> = Cause.empty
  let errors = 0
  for (const leaf of leavesOf(cause)) {
    if (leaf._tag === "Interrupt" || errors++ >= maxErrors) continue
    const one =
      leaf._tag === "Fail" ? Cause.fail(render(leaf.error, budget, [])) : Cause.die(render(leaf.defect, budget, []))
    rendered = Cause.sequential(rendered, one)
  }
  const more = errors - maxErrors
  return more > 0 ? Cause.sequential(rendered, Cause.die(note(`${more} more errors`))) : rendered
}

const first = (cause: Cause.Cause<unknown>): Cause.Cause<never> => {
  for (const leaf of leavesOf(cause)) if (leaf._tag === "Interrupt") return leaf
  return Cause.empty
}

/** A cause as a text of bounded length. */
export const textOf = (cause: Cause.Cause<unknown>): string => Cause.pretty(make(cause), { renderErrorCause: true })

/** An error to keep as a cause: the error itself if every logger can render it, otherwise its stand-in. */
export const carried = (error: unknown): unknown => (isRenderable(error, 0) ? error : errorOf(error))

const isRenderable = (error: unknown, depth: number): boolean => {
  if (depth > maxErrors) return false
  try {
    if (!(error instanceof Error)) return hasOwnText(error) ? isShort(String(error)) : Render.isPlain(error)
    for (const key of Object.keys(error)) Reflect.get(error, key)
    const { cause, message, name, stack = "" } = error
    return [message, name, stack].every(isShort) && (cause === undefined || isRenderable(cause, depth + 1))
  } catch {
    return false
  }
}

const isShort = (text: unknown): boolean => typeof text === "string" && text.length <= maxText

/** Whether a logger calls the value's own rendering code. */
const hasOwnText = (value: unknown): value is object =>
  typeof value === "object" &&
  value !== null &&
  !Cause.isCause(value) &&
  !Array.isArray(value) &&
  value.toString !== Object.prototype.toString
