import type { Api, BrokerEndpoint, IsolationLevel, Request, Response } from "../../Protocol.js"
import type { Encoder } from "./kafkajs.js"
import type { Reader } from "./reader.js"
import type { VersionRange } from "./versions.js"

/** Bytes to send after the encoder's first `at` bytes; they are never copied. */
export interface Attachment {
  readonly at: number
  readonly bytes: Uint8Array
}

/** A response, and how long the broker throttles the connection. */
export interface Decoded<A> {
  readonly throttleTimeMs: number
  readonly response: A
}

/** One request as the socket sees it. */
export interface Call<A> {
  /** Absent for handshake requests. */
  readonly api?: Api | undefined
  readonly key: number
  readonly version: number
  readonly waitMs: number
  /** How long to wait for the response, in milliseconds, if that is less than the request timeout and `waitMs`. */
  readonly limitMs?: number | undefined
  readonly encode: (out: Encoder) => ReadonlyArray<Attachment>
  readonly decode: (reader: Reader) => Decoded<A>
  /** The response to report for a request that the broker doesn't answer. */
  readonly unanswered?: A | undefined
}

/** One of the protocol's requests on the wire. */
export interface Codec<I, O> {
  readonly key: number
  /** Versions whose layouts are encoded and decoded here. */
  readonly versions: VersionRange
  /** The oldest version that can express this request. */
  readonly oldest: (request: I) => number
  /** The newest version that can express it. */
  readonly newest: (request: I) => number
  /** Writes the request; returns the bytes that are sent without copying. */
  readonly encode: (out: Encoder, request: I, version: number) => ReadonlyArray<Attachment>
  readonly decode: (reader: Reader, version: number, request: I) => Decoded<O>
  /** How long the request lets the broker take, in milliseconds, on top of the request timeout. */
  readonly waitMs: (request: I, requestTimeoutMs: number) => number
  /** The response to report for a request that the broker doesn't answer. */
  readonly unanswered: (request: I) => O | undefined
}

export type Apis = { readonly [A in Api]: Codec<Request<A>, Response<A>> }

const none: ReadonlyArray<Attachment> = []

/** A request that is answered at once, with no bytes attached. */
export const simple = <I, O>(options: {
  readonly key: number
  readonly versions: VersionRange
  readonly oldest?: (request: I) => number
  readonly encode: (out: Encoder, request: I, version: number) => void
  readonly newest?: (request: I) => number
  readonly decode: (reader: Reader, version: number, request: I) => Decoded<O>
  readonly waitMs?: (request: I) => number
}): Codec<I, O> => ({
  waitMs: () => 0,
  oldest: () => 0,
  newest: () => Number.POSITIVE_INFINITY,
  unanswered: () => undefined,
  ...options,
  encode: (out, request, version) => {
    options.encode(out, request, version)
    return none
  }
})

export const only = (version: number): VersionRange => ({ min: version, max: version })

export const writeArray = <A>(out: Encoder, elements: ReadonlyArray<A>, write: (element: A) => void): void => {
  out.writeInt32(elements.length)
  for (const element of elements) write(element)
}

/** An exact int64. (kafkajs's encoder writes NaN as 0.) */
export const writeInt64 = (out: Encoder, value: number): void => {
  if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is not an offset or timestamp`)
  out.writeInt32(Math.floor(value / 2 ** 32)).writeUInt32(value >>> 0)
}

export const writeBigInt64 = (out: Encoder, value: bigint): void => {
  out.writeInt32(Number(BigInt.asIntN(32, value >> 32n))).writeUInt32(Number(BigInt.asUintN(32, value)))
}

export const writeIsolationLevel = (out: Encoder, level: IsolationLevel | undefined): void => {
  out.writeInt8(level === "read_committed" ? 1 : 0)
}

export const writeBytes = (out: Encoder, bytes: Uint8Array): void => {
  out.writeBytes(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
}

export const readBroker = (reader: Reader): BrokerEndpoint => ({
  nodeId: reader.int32(),
  host: reader.string(),
  port: reader.int32()
})
