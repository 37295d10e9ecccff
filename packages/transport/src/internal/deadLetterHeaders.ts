/**
 * The metadata headers of dead letters in the formats of Spillway and other systems: a table of names and encodings for
 * each.
 */
import * as Option from "effect/Option"
import { eventIdHeader } from "../Envelope.js"
import * as Headers from "../Headers.js"
import type { Issue } from "../runtime/Environment.js"

export interface Values {
  readonly retryCount: number
  readonly errorMessage: string
  readonly errorType: string
  /** The type of the wrapped error. Spillway uses it as the error's own type; other formats have both. */
  readonly causeType: string
  readonly errorStack: string
  readonly failedTimestamp: number
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  readonly groupId: string
}

export type Field = keyof Values

export type Given = { readonly [F in Field]?: Values[F] | undefined }

export type Preset = "spillway" | "spring" | "connect"

export type Names = { readonly [F in Exclude<Field, "causeType">]?: string | undefined }

interface Encoding<A> {
  readonly encode: (value: A) => Uint8Array | string
  readonly decode: (bytes: Uint8Array) => A | undefined
}

interface Header<A> {
  readonly name: string
  readonly encoding: Encoding<A>
}

/** In the order of writing. */
export type Layout = { readonly [F in Field]?: Header<Values[F]> }

const decoder = new TextDecoder()

const text: Encoding<string> = { encode: (value) => value, decode: (bytes) => decoder.decode(bytes) }

const safeInteger = (value: number): number | undefined => (Number.isSafeInteger(value) ? value : undefined)

const decimal: Encoding<number> = {
  encode: String,
  decode: (bytes) => {
    const digits = decoder.decode(bytes)
    return /^-?\d+$/.test(digits) ? safeInteger(Number(digits)) : undefined
  }
}

const isoDate: Encoding<number> = {
  encode: (value) => new Date(value).toISOString(),
  decode: (bytes) => safeInteger(Date.parse(decoder.decode(bytes)))
}

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** Java's int, big-endian. */
const int32: Encoding<number> = {
  encode: (value) => {
    const bytes = new Uint8Array(4)
    view(bytes).setInt32(0, value)
    return bytes
  },
  decode: (bytes) => (bytes.length === 4 ? view(bytes).getInt32(0) : undefined)
}

/** Java's long, big-endian. */
const int64: Encoding<number> = {
  encode: (value) => {
    const bytes = new Uint8Array(8)
    view(bytes).setBigInt64(0, BigInt(value))
    return bytes
  },
  decode: (bytes) => (bytes.length === 8 ? safeInteger(Number(view(bytes).getBigInt64(0))) : undefined)
}

/** Spring's retry topics count the attempt that would follow; older versions in a single byte. */
const nextAttempt: Encoding<number> = {
  encode: (retries) => int32.encode(retries + 2),
  decode: (bytes) => {
    const next = bytes.length === 1 ? bytes[0]! : int32.decode(bytes)
    return next === undefined ? undefined : Math.max(0, next - 2)
  }
}

const retryCount = { name: "x-retry-count", encoding: decimal }
const failedTimestamp = { name: "x-failed-timestamp", encoding: isoDate }
const timestamp = { name: "x-original-timestamp", encoding: decimal }

/**
 * Fields without a header in another format use Spillway's name, written before that format's own headers, which
 * identify the letter.
 */
export const presets: { readonly [P in Preset]: Layout } = {
  spillway: {
    retryCount,
    failedTimestamp,
    errorMessage: { name: "x-error-message", encoding: text },
    errorType: { name: "x-error-type", encoding: text },
    timestamp,
    groupId: { name: "x-original-group", encoding: text },
    topic: { name: "x-original-topic", encoding: text },
    partition: { name: "x-original-partition", encoding: decimal },
    offset: { name: "x-original-offset", encoding: decimal }
  },
  spring: {
    retryCount,
    failedTimestamp,
    errorMessage: { name: "kafka_dlt-exception-message", encoding: text },
    errorType: { name: "kafka_dlt-exception-fqcn", encoding: text },
    causeType: { name: "kafka_dlt-exception-cause-fqcn", encoding: text },
    errorStack: { name: "kafka_dlt-exception-stacktrace", encoding: text },
    timestamp: { name: "kafka_dlt-original-timestamp", encoding: int64 },
    groupId: { name: "kafka_dlt-original-consumer-group", encoding: text },
    topic: { name: "kafka_dlt-original-topic", encoding: text },
    partition: { name: "kafka_dlt-original-partition", encoding: int32 },
    offset: { name: "kafka_dlt-original-offset", encoding: int64 }
  },
  connect: {
    retryCount,
    failedTimestamp,
    timestamp,
    errorMessage: { name: "__connect.errors.exception.message", encoding: text },
    errorType: { name: "__connect.errors.exception.class.name", encoding: text },
    errorStack: { name: "__connect.errors.exception.stacktrace", encoding: text },
    groupId: { name: "__connect.errors.connector.name", encoding: text },
    topic: { name: "__connect.errors.topic", encoding: text },
    partition: { name: "__connect.errors.partition", encoding: decimal },
    offset: { name: "__connect.errors.offset", encoding: decimal }
  }
}

/** On the dead letters of Spring's retry topics; only read. */
const springRetryTopics: Layout = {
  retryCount: { name: "retry_topic-attempts", encoding: nextAttempt },
  errorMessage: { name: "kafka_exception-message", encoding: text },
  errorType: { name: "kafka_exception-fqcn", encoding: text },
  causeType: { name: "kafka_exception-cause-fqcn", encoding: text },
  errorStack: { name: "kafka_exception-stacktrace", encoding: text },
  timestamp: { name: "kafka_original-timestamp", encoding: int64 },
  groupId: { name: "kafka_dlt-original-consumer-group", encoding: text },
  topic: { name: "kafka_original-topic", encoding: text },
  partition: { name: "kafka_original-partition", encoding: int32 },
  offset: { name: "kafka_original-offset", encoding: int64 }
}

/** All headers that other systems write about a failure; more than Spillway reads. */
const foreign = /^(?:kafka_(?:dlt|original|exception|key-exception)-|retry_topic-|__connect\.errors\.)/

/** A layout with the chosen names; the encodings stay. A field that the preset doesn't have is text. */
export const layoutOf = (preset: Preset, names: Names): Layout => {
  const layout: Record<string, unknown> = { ...presets[preset] }
  for (const [field, name] of Object.entries(names)) {
    if (name !== undefined) layout[field] = { encoding: text, ...presets[preset][field as Field], name }
  }
  return layout
}

/** The option `headers`: a preset, or a preset with single names replaced. */
export type Choice = Preset | (Names & { readonly preset?: Preset | undefined })

export const chosen = (headers: Choice): { readonly preset: Preset; readonly names: Names } => {
  const { preset = "spillway", ...names } = typeof headers === "string" ? { preset: headers } : headers
  return { preset, names }
}

export const chosenLayout = (headers: Choice = "spillway"): { readonly preset: Preset; readonly layout: Layout } => {
  const { names, preset } = chosen(headers)
  return { preset, layout: layoutOf(preset, names) }
}

/** The problems with the chosen names. */
export const check = (preset: Preset, names: Names): ReadonlyArray<Issue> => {
  if (!Object.hasOwn(presets, preset)) {
    return [{ field: "preset", value: preset, description: `must be one of ${Object.keys(presets).join(", ")}` }]
  }
  const headers = Object.entries({ ...layoutOf(preset, names), "event id": { name: eventIdHeader } })
  return Object.entries(names).flatMap(([field, value]): ReadonlyArray<Issue> => {
    if (value === undefined) return []
    if (value === "") return [{ field, value, description: "must not be empty" }]
    const other = headers.find(([other, { name }]) => other !== field && name === value)
    return other === undefined ? [] : [{ field, value, description: `must not be the header of ${other[0]}` }]
  })
}

const namesOf = (layout: Layout): ReadonlyArray<string> => Object.values(layout).map(({ name }) => name)

/** Headers that identify a letter's layout: two layouts share the group's header. */
const isKnownBy = ({ groupId: _, ...others }: Layout, name: string): boolean => namesOf(others).includes(name)

const others: ReadonlyArray<Layout> = [presets.spillway, presets.spring, springRetryTopics, presets.connect]

/** The layout of the metadata that was written last. */
export const detect = (headers: Headers.Headers, preset: Preset, chosen: Layout): Option.Option<Layout> => {
  const layouts = [chosen, ...others.filter((layout) => layout !== presets[preset])]
  for (let i = headers.length - 1; i >= 0; i--) {
    const layout = layouts.find((layout) => isKnownBy(layout, headers[i]![0]))
    if (layout !== undefined) return Option.some(layout)
  }
  return Option.none()
}

export const read = (headers: Headers.Headers, layout: Layout): { readonly [F in Field]: Values[F] | undefined } => {
  const value = <A>(header: Header<A> | undefined): A | undefined => {
    const bytes = header && Option.getOrNull(Headers.get(headers, header.name))
    return bytes ? header.encoding.decode(bytes) : undefined
  }
  return {
    retryCount: value(layout.retryCount),
    errorMessage: value(layout.errorMessage),
    errorType: value(layout.errorType),
    causeType: value(layout.causeType),
    errorStack: value(layout.errorStack),
    failedTimestamp: value(layout.failedTimestamp),
    topic: value(layout.topic),
    partition: value(layout.partition),
    offset: value(layout.offset),
    timestamp: value(layout.timestamp),
    groupId: value(layout.groupId)
  }
}

/** The headers of the fields that are set and that the layout has. */
export const write = (values: Given, layout: Layout): Headers.Headers => {
  const header = <F extends Field>(field: F): ReadonlyArray<readonly [string, Uint8Array | string]> => {
    const { [field]: value } = values
    const header: Header<Values[F]> | undefined = layout[field]
    return value === undefined || header === undefined
      ? []
      : [[header.name, header.encoding.encode(value as Values[F])]]
  }
  return Headers.make((Object.keys(layout) as ReadonlyArray<Field>).flatMap(header))
}

/** The headers without the metadata of an earlier dead letter, from any system. */
export const strip = (headers: Headers.Headers, chosen: Layout): Headers.Headers => {
  const isLetter = others.some(({ topic }) => topic !== undefined && Headers.has(headers, topic.name))
  const replaced = new Set([...namesOf(chosen), ...(isLetter ? namesOf(presets.spillway) : [])])
  return headers.filter(([name]) => !replaced.has(name) && !foreign.test(name))
}
