import { createRequire } from "node:module"
import * as Either from "effect/Either"
import type { ConfigIssue } from "./options.js"

/** The one version whose insides Spillway was tested with. */
export const supportedKafkaJs = "2.2.4"

/** kafkajs's `protocol/encoder`: a growing buffer and the protocol's primitive types. */
export interface Encoder {
  /** The bytes written, a view. */
  readonly buffer: Buffer
  readonly size: () => number
  readonly writeInt8: (value: number) => Encoder
  readonly writeInt16: (value: number) => Encoder
  readonly writeInt32: (value: number) => Encoder
  readonly writeUInt32: (value: number) => Encoder
  readonly writeBoolean: (value: boolean) => Encoder
  /** Nullable string. */
  readonly writeString: (value: string | null) => Encoder
  /** Nullable bytes. Anything but a Buffer would be written as its `String(value)`. */
  readonly writeBytes: (value: Buffer | null) => Encoder
}

/** The parts of kafkajs in use. */
export interface KafkaJs {
  readonly makeEncoder: () => Encoder
}

/**
 * Loads kafkajs's insides from where `require` resolves them, after its version is known to be the supported one: they
 * are no public API and may change in any release.
 */
export const load = (require: NodeJS.Require = createRequire(import.meta.url)): Either.Either<KafkaJs, ConfigIssue> => {
  const refuse = (value: unknown) =>
    Either.left({ field: "kafkajs", value, description: `version ${supportedKafkaJs} must be installed` })
  const version = Either.try(() => (require("kafkajs/package.json") as { readonly version?: unknown }).version)
  if (Either.isLeft(version)) return refuse("none")
  if (version.right !== supportedKafkaJs) return refuse(version.right)
  const Encoder = require("kafkajs/src/protocol/encoder") as new () => Encoder
  return Either.right({ makeEncoder: () => new Encoder() })
}
