/**
 * How a record's key and value are read and written.
 */
import type { StandardSchemaV1 } from "@standard-schema/spec"
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as ParseResult from "effect/ParseResult"
import type * as Schema from "effect/Schema"
import type { Headers } from "./Headers.js"
import { isExit } from "./internal/exit.js"
import * as ParseIssue from "./internal/parseIssue.js"
import { isInstance } from "./internal/render.js"
import * as StandardSchema from "./internal/standardSchema.js"

/** The place of the bytes in a record. */
export interface CodecContext {
  /** The name of the record's topic. */
  readonly topic: string
  /** The record's headers. */
  readonly headers: Headers
  /** Which of the record's two parts the bytes are. */
  readonly part: "key" | "value"
}

/** The part of a codec that a consumer needs. */
export interface Decoder<out A> {
  /**
   * Reads a key or a value; null is an absent key or a tombstone. A synchronous decoder should return an `Exit`, which
   * is an Effect too: the consumer reads it without running a fiber. A decoder that throws or dies is treated like one
   * that fails.
   */
  readonly decode: (bytes: Uint8Array | null, context: CodecContext) => Effect.Effect<A, DecodeError>
}

/** The part of a codec that a publisher needs. */
export interface Encoder<in A> {
  /** Writes a key or a value; null makes an absent key or a tombstone. */
  readonly encode: (value: A, context: CodecContext) => Effect.Effect<Uint8Array | null, EncodeError>
}

/** Reads and writes a key or a value. */
export interface Codec<in out A> extends Decoder<A>, Encoder<A> {}

/** Why bytes can't be decoded. */
export type DecodeErrorReason =
  | "InvalidUtf8"
  | "InvalidJson"
  /** JSON whose value doesn't match the schema. */
  | "SchemaMismatch"
  /** An absent key or a tombstone, where the codec expects bytes. */
  | "Null"
  /** Bytes that aren't in the codec's format. */
  | "Malformed"
  /** The codec can't decode at the moment, for example because its schema registry can't be reached. */
  | "Unavailable"

/**
 * Bytes that a codec can't decode. A consumer dead-letters the record at once, with its original bytes. Only
 * `Unavailable` is retried: by the retry policy, and after the policy's last retry with delays of up to 30 seconds. Its
 * record is never dead-lettered, and the circuit breaker counts it. The built-in codecs include none of the payload.
 */
export class DecodeError extends Data.TaggedError("DecodeError")<{
  /** The kind of problem; `Unavailable` alone is retried. */
  readonly reason: DecodeErrorReason
  /** The problem. Consumers log it, so it should not contain the payload. */
  readonly description: string
  /** For `Unavailable`: replaces the policy's next delay. */
  readonly delay?: Duration.DurationInput | undefined
  /** The error that the codec ran into, if any. */
  readonly cause?: unknown
}> {
  override get message(): string {
    return `${this.reason}: ${this.description}`
  }
}

/** Why a value can't be encoded. */
export type EncodeErrorReason =
  /** A value that JSON can't represent: a cycle, a BigInt or `undefined`. */
  | "InvalidJson"
  /** A value that doesn't match the schema. */
  | "SchemaMismatch"
  /** A value that the codec's format can't hold. */
  | "Unsupported"
  /** The codec can't encode at the moment, for example because its schema registry can't be reached. */
  | "Unavailable"

/** A value that a codec can't write. The built-in codecs include none of the value. */
export class EncodeError extends Data.TaggedError("EncodeError")<{
  /** The kind of problem. */
  readonly reason: EncodeErrorReason
  /** The problem. It should not contain the value. */
  readonly description: string
  /** The error that the codec ran into, if any. */
  readonly cause?: unknown
}> {
  override get message(): string {
    return `${this.reason}: ${this.description}`
  }
}

/** Raw bytes, unchanged; tombstones included. */
export const bytes: Codec<Uint8Array | null> = { decode: Exit.succeed, encode: Exit.succeed }

/** UTF-8 text; fails on other bytes and on null. Keeps a leading byte order mark. */
export const text: Codec<string> = {
  decode: (bytes) => (bytes === null ? nullValue : decodeText(textDecoder, bytes)),
  encode: (value) => Exit.succeed(encoder.encode(value))
}

/** JSON text whose value matches the schema; fails on null. Asynchronous schemas work, but cost a fiber per value. */
export const json = <A, I>(schema: Schema.Schema<A, I>): Codec<A> => {
  const decodeValue = ParseResult.decodeUnknown(schema)
  const encodeValue = ParseResult.encode(schema)
  return {
    decode: (bytes) =>
      parseJson(bytes, (value) =>
        toEffect(
          () => decodeValue(value),
          (description) => new DecodeError({ reason: "SchemaMismatch", description })
        )
      ),
    encode: (value) => {
      const encoded = toEffect(
        () => encodeValue(value),
        (description) => new EncodeError({ reason: "SchemaMismatch", description })
      )
      return isExit(encoded) ? Exit.flatMap(encoded, stringify) : Effect.flatMap(encoded, stringify)
    }
  }
}

/**
 * JSON text whose value matches a Standard Schema (version 1), such as one of Zod, Valibot or ArkType; fails on null.
 * Decoding returns the schema's output. Encoding validates a value of the schema's input and writes it as it is, since a
 * Standard Schema can't turn its output back. Asynchronous schemas work, but cost a fiber per value.
 *
 * Source: https://standardschema.dev
 */
export const standard = <I, O>(schema: StandardSchemaV1<I, O>): Decoder<O> & Encoder<I> => ({
  decode: (bytes) =>
    parseJson(bytes, (value) =>
      StandardSchema.validate(
        schema,
        value,
        (description) => new DecodeError({ reason: "SchemaMismatch", description })
      )
    ),
  encode: (value) => {
    const valid = StandardSchema.validate(
      schema,
      value,
      (description) => new EncodeError({ reason: "SchemaMismatch", description })
    )
    return isExit(valid) ? Exit.flatMap(valid, () => stringify(value)) : Effect.flatMap(valid, () => stringify(value))
  }
})

/** Passes null (a tombstone) through in both directions and delegates everything else to the codec. */
export const nullable = <A>(codec: Codec<A>): Codec<A | null> => ({
  decode: (bytes, context) => (bytes === null ? Exit.succeed(null) : codec.decode(bytes, context)),
  encode: (value, context) => (value === null ? Exit.succeed(null) : codec.encode(value, context))
})

const encoder = new TextEncoder()
const textDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
const jsonDecoder = new TextDecoder("utf-8", { fatal: true })

const nullValue = Exit.fail(new DecodeError({ reason: "Null", description: "expected a value, got a tombstone" }))

const decodeText = (decoder: InstanceType<typeof TextDecoder>, bytes: Uint8Array): Exit.Exit<string, DecodeError> => {
  try {
    return Exit.succeed(decoder.decode(bytes))
  } catch {
    return Exit.fail(new DecodeError({ reason: "InvalidUtf8", description: `${bytes.length} bytes` }))
  }
}

const parseJson = <A>(
  bytes: Uint8Array | null,
  f: (value: unknown) => Effect.Effect<A, DecodeError>
): Effect.Effect<A, DecodeError> => {
  if (bytes === null) return nullValue
  const text = decodeText(jsonDecoder, bytes)
  if (Exit.isFailure(text)) return Exit.failCause(text.cause)
  let value: unknown
  try {
    value = JSON.parse(text.value)
  } catch {
    return Exit.fail(new DecodeError({ reason: "InvalidJson", description: `${bytes.length} bytes` }))
  }
  return f(value)
}

/**
 * A synchronous schema yields an Either, which becomes an Exit. A schema that throws counts as a mismatch, unless it
 * throws a `DecodeError`, such as one that says `Unavailable`.
 */
const toEffect = <A, E>(
  parse: () => Effect.Effect<A, ParseResult.ParseIssue>,
  error: (description: string) => E
): Effect.Effect<A, E> => {
  const fail = (issue: ParseResult.ParseIssue): E => error(ParseIssue.describe(issue))
  try {
    const result = parse()
    if (isEither(result)) return Either.isRight(result) ? Exit.succeed(result.right) : Exit.fail(fail(result.left))
    return Effect.catchAllDefect(Effect.mapError(result, fail), (defect) =>
      isInstance(defect, DecodeError) ? Exit.die(defect) : Exit.fail(error(ParseIssue.describeThrown(defect)))
    )
  } catch (thrown) {
    return isInstance(thrown, DecodeError) ? Exit.die(thrown) : Exit.fail(error(ParseIssue.describeThrown(thrown)))
  }
}

const isEither = <A, E>(effect: Effect.Effect<A, E>): effect is Effect.Effect<A, E> & Either.Either<A, E> =>
  Either.isEither(effect)

const stringify = (value: unknown): Exit.Exit<Uint8Array, EncodeError> => {
  try {
    const text = JSON.stringify(value)
    if (text !== undefined) return Exit.succeed(encoder.encode(text))
  } catch {
    // JSON can't represent a cycle, a BigInt, undefined or a value that is nested too deeply.
  }
  return Exit.fail(new EncodeError({ reason: "InvalidJson", description: `a value of type ${typeof value}` }))
}
