/**
 * Record headers as Kafka stores them: ordered, names may repeat, values are bytes or null.
 */
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { messageOf } from "./internal/render.js"

/** The name and the value of one header. */
export type Header = readonly [name: string, value: Uint8Array | null]

/** The headers of a record, in order. */
export type Headers = ReadonlyArray<Header>

/** A value that the helpers accept: text is encoded as UTF-8. */
export type HeaderValue = string | Uint8Array | null

const encoder = new TextEncoder()
const decoder = new TextDecoder()

const encode = (value: HeaderValue): Uint8Array | null => (typeof value === "string" ? encoder.encode(value) : value)

/**
 * Headers for a producer: an object, a `Map`, or any other iterable of name-value pairs. Pairs of text may have the
 * inferred type `string[]`; one of another length is refused when it is used.
 */
export type HeadersInput =
  | Headers
  | Iterable<readonly [name: string, value: HeaderValue] | ReadonlyArray<string>>
  | Readonly<Record<string, HeaderValue>>

/** No headers. */
export const empty: Headers = Object.freeze([])

/** Headers from pairs, in the given order. */
export const make = (entries: Iterable<readonly [name: string, value: HeaderValue]>): Headers =>
  Array.from(entries, ([name, value]) => [name, encode(value)] as const)

/** Headers from an object, in its key order. */
export const fromRecord = (record: Readonly<Record<string, HeaderValue>>): Headers => make(Object.entries(record))

const isObject = (input: unknown): input is object => typeof input === "object" && input !== null

const isBytes = (value: unknown): value is Uint8Array => value instanceof Uint8Array

const isPlain = (input: object): boolean => {
  const prototype = Object.getPrototypeOf(input)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

/** The pairs of an input; `undefined` for any other shape, so that nothing is silently dropped. */
const pairsOf = (input: unknown): ReadonlyArray<unknown> | undefined => {
  if (!isObject(input) || isBytes(input)) return undefined
  if (Symbol.iterator in input) {
    const iterable = input as Iterable<unknown>
    const iterator: unknown = iterable[Symbol.iterator]()
    // An iterator can be read only once, but a send can run again.
    return iterator === iterable ? undefined : Array.from(iterable)
  }
  const pairs = Object.entries(input)
  // An object of another class, such as a `Date` or a `Promise`, without own properties contains no headers.
  return pairs.length > 0 || isPlain(input) ? pairs : undefined
}

const none: Either.Either<Headers> = Either.right(empty)

/**
 * Headers from any value, in its order, with copies of their bytes; a left describes the problem. `undefined` and null
 * mean no headers.
 */
export const decodeUnknown = (input: unknown): Either.Either<Headers, string> => {
  if (input === undefined || input === null) return none
  let pairs: ReadonlyArray<unknown> | undefined
  try {
    pairs = pairsOf(input)
  } catch (cause) {
    return Either.left(`headers can't be read: ${messageOf(cause)}`)
  }
  if (pairs === undefined) return Either.left("headers must be an object, a Map or an array of names and values")
  const headers: Array<Header> = []
  for (let i = 0; i < pairs.length; i++) {
    const pair = pairs[i]
    if (!Array.isArray(pair) || pair.length !== 2) return Either.left(`header ${i} must be a pair of name and value`)
    const [name, value] = pair as [unknown, unknown]
    if (typeof name !== "string") return Either.left(`the name of header ${i} must be text`)
    if (typeof value === "string") headers.push([name, encoder.encode(value)])
    else if (isBytes(value)) headers.push([name, Uint8Array.prototype.slice.call(value)])
    else if (value === null) headers.push([name, null])
    else return Either.left(`header ${JSON.stringify(name)} must be text, bytes or null`)
  }
  return Either.right(headers)
}

/** The given headers in order, with copies of their bytes. Throws a `TypeError` if the input is not headers. */
export const fromInput = (input?: HeadersInput | undefined): Headers =>
  Either.getOrThrowWith(decodeUnknown(input), (description) => new TypeError(description))

/** The last value of a name, as Kafka's `lastHeader` returns it; `none` if the name is absent. */
export const get = (headers: Headers, name: string): Option.Option<Uint8Array | null> => {
  for (let i = headers.length - 1; i >= 0; i--) {
    const header = headers[i]!
    if (header[0] === name) return Option.some(header[1])
  }
  return Option.none()
}

/** The last value of a name as UTF-8 text; `none` if absent or null. */
export const getText = (headers: Headers, name: string): Option.Option<string> =>
  Option.flatMap(get(headers, name), (value) => (value === null ? Option.none() : Option.some(decoder.decode(value))))

/** All values of a name, in order. */
export const getAll = (headers: Headers, name: string): ReadonlyArray<Uint8Array | null> =>
  headers.filter((header) => header[0] === name).map((header) => header[1])

/** Whether there is a header of that name. */
export const has = (headers: Headers, name: string): boolean => headers.some((header) => header[0] === name)

/** Adds a header at the end, and keeps others of that name. */
export const append = (headers: Headers, name: string, value: HeaderValue): Headers => [
  ...headers,
  [name, encode(value)]
]

/** Replaces all values of the name by one, appended at the end. */
export const set = (headers: Headers, name: string, value: HeaderValue): Headers =>
  append(remove(headers, name), name, value)

/** Removes all headers of the names. */
export const remove = (headers: Headers, ...names: ReadonlyArray<string>): Headers =>
  headers.filter((header) => !names.includes(header[0]))

/** All headers with their values as UTF-8 text, for logs and assertions. */
export const toText = (headers: Headers): ReadonlyArray<readonly [name: string, value: string | null]> =>
  headers.map(([name, value]) => [name, value === null ? null : decoder.decode(value)])
