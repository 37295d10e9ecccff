import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type { CodecContext, Decoder } from "../Codec.js"
import type * as Envelope from "../Envelope.js"
import type { ConsumedRecord } from "../Envelope.js"
import type { Handler } from "../Handler.js"
import { UnawaitedPromise } from "../HandlerError.js"
import type { Headers } from "../Headers.js"
import type { Attempt } from "../runtime/Tracing.js"
import * as Causes from "./causes.js"
import * as RecordEnvelope from "./envelope.js"
import { isExit } from "./exit.js"
import * as Render from "./render.js"
import { Undecodable } from "./undecodable.js"

export interface Parts<A, K, E, R> {
  /** Without it, a key stays bytes. */
  readonly key?: Decoder<K> | undefined
  readonly value: Decoder<A>
  readonly handler: Handler<A, E, R, K>
}

/** Decodes and handles. A handler that throws becomes a defect. */
export const make = <A, K, E, R>({ handler, key: keyDecoder, value: valueDecoder }: Parts<A, K, E, R>): Attempt<R> => {
  const handle = (envelope: Envelope.Envelope<A, K>): Effect.Effect<unknown, E, R> => {
    try {
      return effectOf(handler(envelope), "handler")
    } catch (defect) {
      return Exit.die(defect)
    }
  }
  if (keyDecoder === undefined) {
    // Without a key codec, a key is bytes.
    const handleBytes = handle as (envelope: Envelope.Envelope<A>) => Effect.Effect<unknown, E, R>
    return (record, attempt) => {
      const value = decode(valueDecoder, record, "value")
      return isExit(value) && Exit.isSuccess(value)
        ? handleBytes(RecordEnvelope.make(record, value.value, attempt))
        : decoded(value, (value) => handleBytes(RecordEnvelope.make(record, value, attempt)))
    }
  }
  return (record, attempt) =>
    decoded(decode(keyDecoder, record, "key"), (key) =>
      decoded(decode(valueDecoder, record, "value"), (value) =>
        handle(RecordEnvelope.keyed(record, key, value, attempt))
      )
    )
}

/** Continues with a decoded key or value, without a fiber for a decoder that returned an Exit. */
const decoded = <A, E, R>(
  decoding: Effect.Effect<A, unknown>,
  f: (value: A) => Effect.Effect<unknown, E, R>
): Effect.Effect<unknown, unknown, R> => {
  if (!isExit(decoding)) return Effect.flatMap(Effect.catchAllCause(decoding, undecodable), f)
  return Exit.isSuccess(decoding) ? f(decoding.value) : undecodable(decoding.cause)
}

/** Reads the record only as far as the decoder does. */
class RecordPart implements CodecContext {
  constructor(
    private readonly record: ConsumedRecord,
    readonly part: CodecContext["part"]
  ) {}
  get topic(): string {
    return this.record.topic
  }
  get headers(): Headers {
    return this.record.headers
  }
}

const decode = <A>(
  decoder: Decoder<A>,
  record: ConsumedRecord,
  part: CodecContext["part"]
): Effect.Effect<A, unknown> => {
  try {
    return effectOf(decoder.decode(record[part], new RecordPart(record, part)), "decoder")
  } catch (thrown) {
    return Exit.fail(thrown)
  }
}

/** A decoder that throws or dies can't decode, just as one that fails. */
const undecodable = (cause: Cause.Cause<unknown>): Exit.Exit<never, unknown> =>
  Causes.isInterruptedOnly(cause) ? Exit.failCause(cause) : Exit.fail(new Undecodable({ error: Causes.errorOf(cause) }))

/** A function's result, which may not be an Effect in spite of its type. */
const effectOf = <A extends Effect.Effect<unknown, unknown, unknown>>(returned: A, by: string): A => {
  if (Effect.isEffect(returned)) return returned
  awaited(returned)
  throw new TypeError(`the ${by} returned a value that is not an Effect`)
}

/**
 * The result of an Effect. Throws if it is a Promise, or an array, Option or Either that holds one, since nothing awaits
 * it, and takes note of rejections.
 */
export const awaited = <A>(result: A): A => {
  if (!isObject(result)) return result
  const promises = isThenable(result) ? [result] : heldBy(result).filter(isThenable)
  if (promises.length === 0) return result
  promises.forEach(observe)
  throw new UnawaitedPromise()
}

const isObject = (value: unknown): value is object =>
  (typeof value === "object" || typeof value === "function") && value !== null

const isThenable = (value: unknown): value is object =>
  isObject(value) && typeof Render.read(value, "then") === "function"

const heldBy = (result: object): ReadonlyArray<unknown> => {
  try {
    if (Array.isArray(result)) return result
    if (Option.isOption(result)) return Option.toArray(result)
    return Either.isEither(result) && Either.isRight(result) ? [result.right] : []
  } catch {
    return []
  }
}

/** Never calls another thenable's `then`: a query builder's would run the query. */
const observe = (promise: object): void => {
  if (!Render.isInstance(promise, Promise) && Render.read(promise, Symbol.toStringTag) !== "Promise") return
  try {
    ;(promise as Promise<unknown>).then(undefined, () => {})
  } catch {}
}
