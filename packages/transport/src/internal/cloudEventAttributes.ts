/** The attributes of a CloudEvent as text, by their standard names: the common ground of headers and JSON members. */
import * as Either from "effect/Either"
import type * as Headers from "../Headers.js"
import { isStructured } from "./mediaType.js"

/** Why a record can't be read as a CloudEvent, or an event can't be written as one. */
export type CloudEventErrorReason = "NotCloudEvent" | "InvalidAttribute" | "UnsupportedFormat" | "InvalidJson"

/** The context attributes of a CloudEvent. */
export interface CloudEventAttributes {
  /** Unique among the events of one source. */
  readonly id: string
  /** The kind of event, such as `order.placed.v1`. */
  readonly type: string
  /** The source of the event, as a URI reference. */
  readonly source: string
  /** When the event happened, in milliseconds since the epoch; finer fractions of a second are cut off. */
  readonly time?: number | undefined
  /** The thing that the event is about, within the source. */
  readonly subject?: string | undefined
  /** The media type of the data; JSON if absent. */
  readonly dataContentType?: string | undefined
  /** The schema of the data, as a URI. */
  readonly dataSchema?: string | undefined
  /** Attributes beyond the standard's, by lower-case names. Numbers and booleans are read as text. */
  readonly extensions: Readonly<Record<string, string>>
}

export type TextAttributes = ReadonlyMap<string, string>

export interface Issue {
  readonly reason: CloudEventErrorReason
  readonly attribute?: string | undefined
  readonly description: string
}

const prefix = "ce_"
const contentTypeHeader = "content-type"
const specVersion = "1.0"

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

const invalid = (attribute: string, description: string): Issue => ({
  reason: "InvalidAttribute",
  attribute,
  description
})

/** Standard names that extensions can't have; `data` is not the name of any attribute. */
const standard = new Set([
  "specversion",
  "id",
  "type",
  "source",
  "time",
  "subject",
  "datacontenttype",
  "dataschema",
  "data"
])

export const isStandard = (name: string): boolean => standard.has(name)

/** Whether an attribute may have this name. */
export const isName = (name: string): boolean => name !== "data" && /^[a-z0-9]+$/.test(name)

/** The last `content-type` header; bytes that are not UTF-8 name no known media type. */
export const contentTypeOf = (headers: Headers.Headers): string | undefined => {
  const header = headers.findLast(([name]) => name === contentTypeHeader)
  return header?.[1] ? new TextDecoder().decode(header[1]) : undefined
}

/**
 * In binary mode the media type has its own header, so a `ce_datacontenttype`, which some systems write, is ignored.
 */
export const fromHeaders = (headers: Headers.Headers): Either.Either<TextAttributes, Issue> => {
  const attributes = new Map<string, string>()
  for (const [header, bytes] of headers) {
    if (!header.startsWith(prefix)) continue
    const name = header.slice(prefix.length)
    if (!isName(name) || name === "datacontenttype") continue
    attributes.delete(name)
    if (bytes === null) continue
    try {
      attributes.set(name, decoder.decode(bytes))
    } catch {
      return Either.left(invalid(name, "is not UTF-8"))
    }
  }
  const contentType = contentTypeOf(headers)
  if (contentType !== undefined) attributes.set("datacontenttype", contentType)
  return Either.right(attributes)
}

/** The headers of attributes that `firstInvalid` accepts. */
export const toHeaders = (attributes: CloudEventAttributes): ReadonlyArray<readonly [name: string, value: string]> => {
  const headers: Array<readonly [string, string]> = [
    ["ce_specversion", specVersion],
    ["ce_id", attributes.id],
    ["ce_type", attributes.type],
    ["ce_source", attributes.source]
  ]
  if (attributes.time !== undefined) headers.push(["ce_time", new Date(attributes.time).toISOString()])
  if (attributes.subject !== undefined) headers.push(["ce_subject", attributes.subject])
  if (attributes.dataSchema !== undefined) headers.push(["ce_dataschema", attributes.dataSchema])
  for (const [name, value] of Object.entries(attributes.extensions)) headers.push([prefix + name, value])
  if (attributes.dataContentType !== undefined) headers.push([contentTypeHeader, attributes.dataContentType])
  return headers
}

/** Reading is lenient where that is harmless: it validates only the time. */
export const parse = (text: TextAttributes): Either.Either<CloudEventAttributes, Issue> => {
  const version = text.get("specversion")
  if (version === undefined) return Either.left({ reason: "NotCloudEvent", description: "specversion is missing" })
  if (version !== specVersion) return Either.left(invalid("specversion", `must be ${specVersion}`))
  for (const name of ["id", "type", "source"]) {
    if (!text.get(name)) return Either.left(invalid(name, "is missing"))
  }
  const optional = (name: string): string | undefined => text.get(name) || undefined
  const time = optional("time")
  const millis = time === undefined ? undefined : parseTime(time)
  if (Number.isNaN(millis)) return Either.left(invalid("time", "is not an RFC 3339 timestamp"))
  return Either.right({
    id: text.get("id")!,
    type: text.get("type")!,
    source: text.get("source")!,
    time: millis,
    subject: optional("subject"),
    dataContentType: optional("datacontenttype"),
    dataSchema: optional("dataschema"),
    extensions: Object.fromEntries(Array.from(text).filter(([name]) => !standard.has(name)))
  })
}

const timestamp = /^\d{4}-\d\d-\d\dt\d\d:\d\d:\d\d(\.\d+)?(z|[+-]\d\d:\d\d)$/i

const parseTime = (text: string): number => (timestamp.test(text) ? Date.parse(text.toUpperCase()) : Number.NaN)

const earliest = Date.parse("0000-01-01T00:00:00.000Z")

const latest = Date.parse("9999-12-31T23:59:59.999Z")

/** Characters that CloudEvents forbids: control characters, unpaired surrogates and Unicode noncharacters. */
const forbidden = /[\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}]/u

const uriReference = /^[\w\-.~:/?#[\]@!$&'()*+,;=%]+$/

const uri = /^[a-z][a-z0-9+.-]*:/i

/** Whether an attribute may have this text. */
export const isText = (value: string): boolean => value !== "" && !forbidden.test(value)

export const isUriReference = (value: string): boolean => uriReference.test(value)

export const isUri = (value: string): boolean => uri.test(value) && uriReference.test(value)

/** The first attribute that other systems couldn't read back. */
export const firstInvalid = (
  attributes: CloudEventAttributes
): { readonly attribute: string; readonly description: string } | undefined => {
  const text = (attribute: string, value: string | undefined) => {
    if (value === undefined) return undefined
    if (value === "") return { attribute, description: "is empty" }
    return forbidden.test(value) ? { attribute, description: "has characters that CloudEvents forbids" } : undefined
  }
  const { dataContentType, dataSchema, source, time } = attributes
  const found =
    text("id", attributes.id) ??
    text("type", attributes.type) ??
    text("source", source) ??
    text("subject", attributes.subject) ??
    text("datacontenttype", dataContentType)
  if (found !== undefined) return found
  if (!isUriReference(source)) return { attribute: "source", description: "is not a URI reference" }
  if (dataSchema !== undefined && !isUri(dataSchema)) {
    return { attribute: "dataschema", description: "is not a URI" }
  }
  if (time !== undefined && !(time >= earliest && time <= latest)) {
    return { attribute: "time", description: "is outside the years 0 to 9999" }
  }
  if (isStructured(dataContentType)) {
    return { attribute: "datacontenttype", description: "would be read as structured mode" }
  }
  for (const [name, value] of Object.entries(attributes.extensions)) {
    if (!isName(name) || isStandard(name)) return { attribute: name, description: "is not a valid extension name" }
    if (forbidden.test(value)) return { attribute: name, description: "has characters that CloudEvents forbids" }
  }
  return undefined
}
