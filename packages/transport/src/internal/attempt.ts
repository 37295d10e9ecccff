import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type { Decoder } from "../Codec.js"
import type { ConsumedRecord } from "../Envelope.js"
import type { Handler } from "../Handler.js"
import { TemporaryError, UnawaitedPromise } from "../HandlerError.js"
import * as Causes from "./causes.js"
import * as Envelope from "./envelope.js"
import { isExit } from "./exit.js"
import * as Render from "./render.js"

/** Marks a value that didn't decode, to distinguish it from the handler's own errors. */
export class Undecodable extends Data.TaggedError("Undecodable")<{ readonly error: unknown }> {}

/** The decoder's original error. */
export const decodeErrorOf = (error: unknown): unknown => (isUndecodable(error) ? error.error : error)

export const isUndecodable = (error: unknown): error is Undecodable => Render.isInstance(error, Undecodable)

/** The decoder's original cause. */
export const decodeCauseOf = (cause: Cause.Cause<unknown>): Cause.Cause<unknown> => {
  const error = Causes.errorOf(cause)
  return isUndecodable(error) ? Cause.fail(error.error) : cause
}

export type Attempt<R> = (record: ConsumedRecord, attempt: number) => Effect.Effect<unknown, unknown, R>

/** Decodes and handles. A handler that throws becomes a defect. */
export const make = <A, E, R>(decoder: Decoder<A>, handler: Handler<A, E, R>): Attempt<R> => {
  const handle = (record: ConsumedRecord, value: A, attempt: number): Effect.Effect<unknown, E, R> => {
    try {
      return effectOf(handler(Envelope.make(record, value, attempt)), "handler")
    } catch (defect) {
      return Exit.die(defect)
    }
  }
  return (record, attempt) => {
    const decoded = decode(decoder, record)
    if (!isExit(decoded)) {
      return Effect.flatMap(Effect.catchAllCause(decoded, undecodable), (value) => handle(record, value, attempt))
    }
    return Exit.isSuccess(decoded) ? handle(record, decoded.value, attempt) : undecodable(decoded.cause)
  }
}

const decode = <A>(decoder: Decoder<A>, { value }: ConsumedRecord): Effect.Effect<A, unknown> => {
  try {
    return effectOf(decoder.decode(value), "decoder")
  } catch (thrown) {
    return Exit.fail(thrown)
  }
}

/** A decoder that throws or dies can't decode the value, unless it dies with a `TemporaryError`. */
const undecodable = (cause: Cause.Cause<unknown>): Exit.Exit<never, unknown> => {
  const error = Causes.errorOf(cause)
  return Causes.isInterruptedOnly(cause) || Render.isInstance(error, TemporaryError)
    ? Exit.failCause(cause)
    : Exit.fail(new Undecodable({ error }))
}

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
