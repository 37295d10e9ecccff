/**
 * The internals of kafkajs that Spillway uses. They are not public and may change in any release, so the package
 * depends on exactly one.
 */
// @ts-expect-error kafkajs has no types for its internals.
import KafkaJsEncoder from "kafkajs/src/protocol/encoder.js"

/** kafkajs's `protocol/encoder`: a growing buffer and the protocol's primitive types. */
export interface Encoder {
  /** A view of the bytes written. */
  readonly buffer: Buffer
  readonly size: () => number
  readonly writeInt8: (value: number) => Encoder
  readonly writeInt16: (value: number) => Encoder
  readonly writeInt32: (value: number) => Encoder
  readonly writeUInt32: (value: number) => Encoder
  readonly writeBoolean: (value: boolean) => Encoder
  /** Nullable string. */
  readonly writeString: (value: string | null) => Encoder
  /** Nullable bytes. A value that is not a Buffer would be written as `String(value)`. */
  readonly writeBytes: (value: Buffer | null) => Encoder
  /** The bytes without a length. */
  readonly writeBuffer: (value: Buffer) => Encoder
}

/** A kafkajs request, and how to read its response. */
export interface Exchange {
  readonly request: {
    readonly apiKey: number
    readonly apiVersion: number
    readonly encode: () => Promise<Encoder>
  }
  readonly response: {
    readonly decode: (body: Buffer) => Promise<unknown>
    readonly parse: (decoded: unknown) => Promise<unknown>
  }
}

export interface SaslConnection {
  readonly host: string
  readonly port: number
  /** The encoder that it writes to. */
  readonly sasl: object
  readonly send: (exchange: Exchange) => Promise<unknown>
}

/** kafkajs's `broker/saslAuthenticator`. */
export interface SaslAuthenticator {
  readonly authenticate: () => Promise<void>
  /** How long the broker accepts requests from now on, in milliseconds, as text; "0" for unlimited. */
  readonly sessionLifetime: string
}

interface Logger {
  readonly namespace: (name: string) => Logger
  readonly debug: () => void
  readonly error: () => void
}

/** Drops kafkajs's logs: errors are typed. */
const silent: Logger = { namespace: () => silent, debug: () => {}, error: () => {} }

export const makeEncoder = (): Encoder => new (KafkaJsEncoder as new () => Encoder)()

type MakeSaslAuthenticator = new (
  connection: SaslConnection,
  logger: Logger,
  versions: object,
  isInFrames: boolean
) => SaslAuthenticator

/** `versions` by api key. Its module is loaded only here, since most of kafkajs comes with it. */
export const makeSaslAuthenticator = async (
  connection: SaslConnection,
  versions: Readonly<Record<number, { readonly minVersion: number; readonly maxVersion: number }>>
): Promise<SaslAuthenticator> => {
  // @ts-expect-error kafkajs has no types for its internals.
  const loaded = (await import("kafkajs/src/broker/saslAuthenticator/index.js")) as { readonly default: unknown }
  return new (loaded.default as MakeSaslAuthenticator)(connection, silent, versions, true)
}
