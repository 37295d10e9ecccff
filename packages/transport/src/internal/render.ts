/**
 * Text for any value that user code failed with. Nothing here throws, and a text costs a bounded number of reads and
 * characters: getters, `toJSON` and proxies may throw, and values may be cyclic or huge.
 */
import { truncate } from "./truncate.js"

/** The maximum length of an error's type. */
const maxType = 200

/** The maximum length of a message. */
const maxMessage = 4_096

/** The maximum depth that a text shows. */
const maxDepth = 6

/** The maximum number of array or object members that a text shows. */
const maxMembers = 20

const maxString = 1_024

/** A property, or undefined if it can't be read. */
export const read = (value: unknown, key: PropertyKey): unknown => {
  try {
    return isObject(value) ? (value as Record<PropertyKey, unknown>)[key] : undefined
  } catch {
    return undefined
  }
}

/** Whether the value has the property; false if that can't be read. */
export const has = (value: unknown, key: PropertyKey): boolean => {
  try {
    return isObject(value) && key in value
  } catch {
    return false
  }
}

/** `instanceof`, which a proxy can make throw. */
export const isInstance = <A>(value: unknown, of: abstract new (...args: never) => A): value is A => {
  try {
    return value instanceof of
  } catch {
    return false
  }
}

const isObject = (value: unknown): value is object =>
  (typeof value === "object" && value !== null) || typeof value === "function"

const textOf = (value: unknown): string | undefined =>
  typeof value === "string" && value !== "" ? value : typeof value === "number" ? String(value) : undefined

/** The kind of a failure: its `_tag`, else its error class, else its JavaScript type. */
export const typeOf = (error: unknown): string => {
  if (typeof error !== "object" || error === null) return typeof error
  const tag = read(error, "_tag")
  if (typeof tag === "string") return truncate(tag, maxType)
  return isInstance(error, Error) ? truncate(nameOf(error), maxType) : typeof error
}

/** The start of a line about the value: an error's name, a tag, else `Error`. */
export const classOf = (error: unknown): string => {
  if (isInstance(error, Error)) return nameOf(error)
  return typeof error === "object" ? (textOf(read(error, "_tag")) ?? "Error") : "Error"
}

/** An error's name, otherwise its class's. */
const nameOf = (error: Error): string =>
  textOf(read(error, "name")) ?? textOf(read(read(error, "constructor"), "name")) ?? "Error"

/** A short text for any thrown or failed value. */
export const messageOf = (error: unknown): string => {
  if (typeof error === "string") return truncate(error, maxMessage)
  if (isInstance(error, Error)) {
    return truncate(textOf(read(error, "message")) ?? (aggregated(error) || nameOf(error)), maxMessage)
  }
  const tag = typeof error === "object" ? read(error, "_tag") : undefined
  return truncate(typeof tag === "string" ? tag : inspect(error), maxMessage)
}

/** The first messages of an error that only aggregates others. */
const aggregated = (error: Error): string => {
  if (!isInstance(error, AggregateError)) return ""
  const errors = read(error, "errors")
  const of = (index: number) => read(errors, index)
  const messages = [0, 1, 2].flatMap((index) => textOf(read(of(index), "message")) ?? [])
  const length = read(errors, "length")
  const more = typeof length === "number" ? length - messages.length : 0
  return messages.length === 0 ? "" : truncate(messages.join(", "), maxMessage) + (more > 0 ? `, and ${more} more` : "")
}

/** An error's unmodified stack, if it can be read. */
export const stackOf = (error: unknown): string | undefined => {
  const stack = isInstance(error, Error) ? read(error, "stack") : undefined
  return typeof stack === "string" ? stack : undefined
}

interface Budget {
  /** The number of members that may still be shown. */
  members: number
  /** Whether the text shows the whole value as JSON would. */
  whole: boolean
}

interface Shown {
  readonly text: string
  readonly whole: boolean
}

/** The shown part of an object: keys are listed once, since listing a million of them takes a second. */
const shownBefore = new WeakMap<object, Shown>()

const shown = (value: unknown): Shown => {
  const known = isObject(value) ? shownBefore.get(value) : undefined
  if (known !== undefined) return known
  const budget = { members: 200, whole: true }
  const result = { text: show(value, budget, []), whole: budget.whole }
  if (isObject(value)) shownBefore.set(value, result)
  return result
}

/** JSON within limits: values that are too deep, too large, cyclic or unreadable are marked. */
export const inspect = (value: unknown): string => shown(value).text

/** Whether `JSON.stringify` gives the value a short text and can't throw on it. */
export const isPlain = (value: unknown): boolean => shown(value).whole

const cut = (budget: Budget, mark: string): string => {
  budget.whole = false
  return mark
}

const show = (value: unknown, budget: Budget, within: ReadonlyArray<unknown>): string => {
  switch (typeof value) {
    case "string":
      if (value.length > maxString) budget.whole = false
      return JSON.stringify(truncate(value, maxString))
    case "bigint":
      return cut(budget, value < 2n ** 256n && value > -(2n ** 256n) ? `${value}n` : "[bigint]")
    case "symbol":
      return cut(budget, truncate(value.toString(), maxType))
    case "function":
      return cut(budget, `[function ${truncate(textOf(read(value, "name")) ?? "anonymous", maxType)}]`)
    case "object":
      return value === null ? "null" : showObject(value, budget, within)
    default:
      return String(value)
  }
}

const showObject = (value: object, budget: Budget, within: ReadonlyArray<unknown>): string => {
  if (within.includes(value)) return cut(budget, "[circular]")
  if (within.length >= maxDepth || budget.members <= 0) return cut(budget, "…")
  const inner = [...within, value]
  try {
    if (ArrayBuffer.isView(value)) return cut(budget, `[${value.byteLength} bytes]`)
    if (isInstance(value, Error)) return cut(budget, JSON.stringify(`${typeOf(value)}: ${messageOf(value)}`))
    // The only self-description a value offers, since the rest may be secret.
    const { toJSON } = value as { readonly toJSON?: unknown }
    if (typeof toJSON === "function") {
      budget.whole = false
      budget.members--
      const shown: unknown = toJSON.call(value)
      return isObject(shown) && has(shown, "toJSON") ? "[object]" : show(shown, budget, inner)
    }
    return Array.isArray(value) ? showArray(value, budget, inner) : showFields(value, budget, inner)
  } catch {
    return cut(budget, `a value of type ${typeof value}`)
  }
}

const isShown = (value: unknown): boolean =>
  value !== undefined && typeof value !== "function" && typeof value !== "symbol"

const showArray = (array: ReadonlyArray<unknown>, budget: Budget, within: ReadonlyArray<unknown>): string => {
  const { length } = array
  const texts: Array<string> = []
  while (texts.length < Math.min(length, maxMembers) && budget.members-- > 0) {
    const member = array[texts.length]
    texts.push(isShown(member) ? show(member, budget, within) : "null")
  }
  if (texts.length < length) texts.push(cut(budget, `… ${length - texts.length} more`))
  return `[${texts.join(",")}]`
}

const showFields = (value: object, budget: Budget, within: ReadonlyArray<unknown>): string => {
  const keys = Object.keys(value)
  const texts: Array<string> = []
  for (const [index, key] of keys.slice(0, maxMembers).entries()) {
    if (budget.members-- <= 0) return `{${[...texts, cut(budget, `… ${keys.length - index} more`)].join(",")}}`
    const field = showField(value, key, budget, within)
    if (field !== undefined) texts.push(`${JSON.stringify(truncate(key, maxType))}:${field}`)
  }
  if (keys.length > maxMembers) texts.push(cut(budget, `… ${keys.length - maxMembers} more`))
  return `{${texts.join(",")}}`
}

const showField = (value: object, key: string, budget: Budget, within: ReadonlyArray<unknown>): string | undefined => {
  try {
    const field = (value as Record<string, unknown>)[key]
    return isShown(field) ? show(field, budget, within) : undefined
  } catch {
    return cut(budget, "[unreadable]")
  }
}
