import { createRequire } from "node:module"
import * as Either from "effect/Either"
import type { ConfigIssue } from "../settings/check.js"

/** The only version whose internals Spillway is tested with. */
export const supportedKafkaJs = "2.2.4"

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

/** The parts of kafkajs that Spillway uses. */
export interface KafkaJs {
  readonly makeEncoder: () => Encoder
  /** `versions` by api key. */
  readonly makeSaslAuthenticator: (
    connection: SaslConnection,
    versions: Readonly<Record<number, { readonly minVersion: number; readonly maxVersion: number }>>
  ) => SaslAuthenticator
}

/** Drops kafkajs's logs: errors are typed. */
const silent: Logger = { namespace: () => silent, debug: () => {}, error: () => {} }

/**
 * Loads kafkajs's internals from where `require` resolves them, after checking that the version is the supported one:
 * they are not public and may change in any release.
 */
export const load = (require: NodeJS.Require = createRequire(import.meta.url)): Either.Either<KafkaJs, ConfigIssue> => {
  const refuse = (value: unknown) =>
    Either.left({ field: "kafkajs", value, description: `version ${supportedKafkaJs} must be installed` })
  const version = Either.try(() => (require("kafkajs/package.json") as { readonly version?: unknown }).version)
  if (Either.isLeft(version)) return refuse("none")
  if (version.right !== supportedKafkaJs) return refuse(version.right)
  const Encoder = require("kafkajs/src/protocol/encoder") as new () => Encoder
  const SaslAuthenticator = require("kafkajs/src/broker/saslAuthenticator") as new (
    connection: SaslConnection,
    logger: Logger,
    versions: object,
    isInFrames: boolean
  ) => SaslAuthenticator
  return Either.right({
    makeEncoder: () => new Encoder(),
    makeSaslAuthenticator: (connection, versions) => new SaslAuthenticator(connection, silent, versions, true)
  })
}
