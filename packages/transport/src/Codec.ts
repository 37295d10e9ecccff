/**
 * How a record's value is read and written.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as ParseResult from "effect/ParseResult"
import type * as Schema from "effect/Schema"
import { TemporaryError } from "./HandlerError.js"
import { isExit } from "./internal/exit.js"
import * as ParseIssue from "./internal/parseIssue.js"
import { isInstance } from "./internal/render.js"

/** The part of a codec that a consumer needs. */
export interface Decoder<out A> {
  /**
   * Reads a value; null is a tombstone. A synchronous decoder should return an `Exit`, which is an Effect too: the
   * consumer reads it without running a fiber. A decoder that throws or dies is treated like one that fails with a
   * `DecodeError`: the record is dead-lettered at once. To have the record retried, die with a `TemporaryError`.
   */
  readonly decode: (bytes: Uint8Array | null) => Effect.Effect<A, DecodeError>
}

/** The part of a codec that a publisher needs. */
export interface Encoder<in A> {
  /** Writes a value; null makes a tombstone. */
  readonly encode: (value: A) => Effect.Effect<Uint8Array | null, EncodeError>
}

export interface Codec<in out A> extends Decoder<A>, Encoder<A> {}

/** Bytes that the codec can't decode: the record is dead-lettered at once. Contains none of the payload. */
export class DecodeError extends Data.TaggedError("DecodeError")<{
  readonly reason: "InvalidUtf8" | "InvalidJson" | "SchemaMismatch" | "Null"
  readonly description: string
}> {
  override get message(): string {
    return `${this.reason}: ${this.description}`
  }
}

/** A value that the codec can't write. Contains none of the value. */
export class EncodeError extends Data.TaggedError("EncodeError")<{
  readonly reason: "InvalidJson" | "SchemaMismatch"
  readonly description: string
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
    decode: (bytes) => {
      if (bytes === null) return nullValue
      const text = decodeText(jsonDecoder, bytes)
      if (Exit.isFailure(text)) return Exit.failCause(text.cause)
      let value: unknown
      try {
        value = JSON.parse(text.value)
      } catch {
        return Exit.fail(new DecodeError({ reason: "InvalidJson", description: `${bytes.length} bytes` }))
      }
      return toEffect(
        () => decodeValue(value),
        (description) => new DecodeError({ reason: "SchemaMismatch", description })
      )
    },
    encode: (value) => {
      const encoded = toEffect(
        () => encodeValue(value),
        (description) => new EncodeError({ reason: "SchemaMismatch", description })
      )
      return isExit(encoded) ? Exit.flatMap(encoded, stringify) : Effect.flatMap(encoded, stringify)
    }
  }
}

/** Passes null (a tombstone) through in both directions and delegates everything else to the codec. */
export const nullable = <A>(codec: Codec<A>): Codec<A | null> => ({
  decode: (bytes) => (bytes === null ? Exit.succeed(null) : codec.decode(bytes)),
  encode: (value) => (value === null ? Exit.succeed(null) : codec.encode(value))
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

/** A synchronous schema yields an Either, which becomes an Exit. A schema that throws counts as a mismatch. */
const toEffect = <A, E>(
  parse: () => Effect.Effect<A, ParseResult.ParseIssue>,
  error: (description: string) => E
): Effect.Effect<A, E> => {
  const fail = (issue: ParseResult.ParseIssue): E => error(ParseIssue.describe(issue))
  try {
    const result = parse()
    if (isEither(result)) return Either.isRight(result) ? Exit.succeed(result.right) : Exit.fail(fail(result.left))
    return Effect.catchAllDefect(Effect.mapError(result, fail), (defect) =>
      isInstance(defect, TemporaryError) ? Exit.die(defect) : Exit.fail(error(ParseIssue.describeThrown(defect)))
    )
  } catch (thrown) {
    return Exit.fail(error(ParseIssue.describeThrown(thrown)))
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
