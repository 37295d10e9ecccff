/**
 * Record headers as Kafka stores them: ordered, names may repeat, values are bytes or null.
 */
import * as Option from "effect/Option"

export type Header = readonly [name: string, value: Uint8Array | null]

export type Headers = ReadonlyArray<Header>

/** What the helpers accept for a value: text is encoded as UTF-8. */
export type HeaderValue = string | Uint8Array | null

const encoder = new TextEncoder()
const decoder = new TextDecoder()

const encode = (value: HeaderValue): Uint8Array | null => (typeof value === "string" ? encoder.encode(value) : value)

/** Headers as users may give them to a producer: as they are, or by name. */
export type HeadersInput = Headers | Readonly<Record<string, HeaderValue>>

export const empty: Headers = []

/** Headers from pairs, in the given order. */
export const make = (entries: Iterable<readonly [name: string, value: HeaderValue]>): Headers =>
  Array.from(entries, ([name, value]) => [name, encode(value)] as const)

/** Headers from an object, in its key order. */
export const fromRecord = (record: Readonly<Record<string, HeaderValue>>): Headers => make(Object.entries(record))

const isHeaders = (input: HeadersInput): input is Headers => Array.isArray(input)

/** The headers that were given, in their order. */
export const fromInput = (input: HeadersInput = empty): Headers => (isHeaders(input) ? input : fromRecord(input))

/** The last value under a name, as Kafka's `lastHeader` does; `none` when the name is absent. */
export const get = (headers: Headers, name: string): Option.Option<Uint8Array | null> => {
  for (let i = headers.length - 1; i >= 0; i--) {
    const header = headers[i]!
    if (header[0] === name) return Option.some(header[1])
  }
  return Option.none()
}

/** The last value under a name as UTF-8 text; `none` when absent or null. */
export const getText = (headers: Headers, name: string): Option.Option<string> =>
  Option.flatMap(get(headers, name), (value) => (value === null ? Option.none() : Option.some(decoder.decode(value))))

/** All values under a name, in order. */
export const getAll = (headers: Headers, name: string): ReadonlyArray<Uint8Array | null> =>
  headers.filter((header) => header[0] === name).map((header) => header[1])

export const has = (headers: Headers, name: string): boolean => headers.some((header) => header[0] === name)

export const append = (headers: Headers, name: string, value: HeaderValue): Headers => [
  ...headers,
  [name, encode(value)]
]

/** Replaces every value under the name by one, appended at the end. */
export const set = (headers: Headers, name: string, value: HeaderValue): Headers =>
  append(remove(headers, name), name, value)

export const remove = (headers: Headers, ...names: ReadonlyArray<string>): Headers =>
  headers.filter((header) => !names.includes(header[0]))

/** Every header with its value as UTF-8 text, for logs and assertions. */
export const toText = (headers: Headers): ReadonlyArray<readonly [name: string, value: string | null]> =>
  headers.map(([name, value]) => [name, value === null ? null : decoder.decode(value)])
