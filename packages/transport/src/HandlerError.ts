/**
 * The meaning of a handler's failure: retry, retry after a specific delay, or dead-letter at once.
 */
import type * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { DecodeError } from "./Codec.js"
import * as Render from "./internal/render.js"

/** Retried by the policy; `delay`, if given, replaces the policy's next delay. */
export class TemporaryError extends Data.TaggedError("TemporaryError")<{
  /** The underlying failure, which logs and dead letters show: any value. */
  readonly cause: unknown
  /** Replaces the policy's next delay. Default: the policy's delay. */
  readonly delay?: Duration.DurationInput | undefined
}> {
  override get message(): string {
    return messageOf(this.cause)
  }
}

/** Dead-lettered at once. */
export class NonRetryableError extends Data.TaggedError("NonRetryableError")<{
  /** The underlying failure, which logs and dead letters show: any value. */
  readonly cause: unknown
}> {
  override get message(): string {
    return messageOf(this.cause)
  }
}

/** Fails with a `TemporaryError`: the record is retried after `delay` if given, otherwise by the policy. */
export const temporary = (
  cause: unknown,
  delay?: Duration.DurationInput | undefined
): Effect.Effect<never, TemporaryError> => Effect.fail(new TemporaryError({ cause, delay }))

/** Fails with a `NonRetryableError`: the record is dead-lettered at once. */
export const nonRetryable = (cause: unknown): Effect.Effect<never, NonRetryableError> =>
  Effect.fail(new NonRetryableError({ cause }))

/** The handler ran longer than `handlerTimeout` and was interrupted. */
export class HandlerTimeout extends Data.TaggedError("HandlerTimeout")<{
  /** The consumer's `handlerTimeout`. */
  readonly timeout: Duration.Duration
}> {
  override get message(): string {
    return `the handler ran longer than ${this.timeout.toString()}`
  }
}

/**
 * The handler returned a Promise, or succeeded with one or with an array, Option or Either that holds one. Nothing awaits
 * it, so its work may not be done.
 */
export class UnawaitedPromise extends Data.TaggedError("UnawaitedPromise") {
  override get message(): string {
    return "the handler's result is or holds a Promise, which is not awaited: use Effect.promise or Effect.tryPromise"
  }
}

/** One failed attempt, as retry schedules and `classify` see it. */
export interface HandlerFailure {
  /**
   * Whether the record's key or value couldn't be decoded, or the handler failed. A handler's own `DecodeError` is a
   * failure of the handler.
   */
  readonly stage: "decoding" | "handling"
  /** The typed error or the defect; for an interrupted handler, its `InterruptedException`. */
  readonly error: unknown
  /** The failure with its defects, interruptions and traces. */
  readonly cause: Cause.Cause<unknown>
  /** 1 for the first attempt. */
  readonly attempt: number
}

/** The consequence of a failure. */
export type Decision =
  | {
      readonly _tag: "Retry"
      /** Replaces the policy's next delay. Default: the policy's delay. */
      readonly delay?: Duration.DurationInput | undefined
    }
  | { readonly _tag: "DeadLetter" }

/** Retries the record after `delay`, or by the policy if there is none. */
export const retry = (delay?: Duration.DurationInput | undefined): Decision => ({ _tag: "Retry", delay })

/** Dead-letters the record at once. */
export const deadLetter: Decision = { _tag: "DeadLetter" }

/** Decides whether a failed record is retried. If it throws, only a record whose codec is unavailable is retried. */
export type Classify = (failure: HandlerFailure) => Decision

/**
 * Dead-letters a `NonRetryableError`, retries a `TemporaryError` after its delay, and retries everything else. A record
 * that can't be decoded is dead-lettered, unless its `DecodeError` is `Unavailable`.
 */
export const classify: Classify = ({ error, stage }) => {
  if (stage === "decoding") return isUnavailable(error) ? retry(error.delay) : deadLetter
  if (Render.isInstance(error, NonRetryableError)) return deadLetter
  if (Render.isInstance(error, TemporaryError)) return retry(Render.read(error, "delay") as TemporaryError["delay"])
  return retry()
}

/** Whether the decoder can't decode at the moment, so that the record is retried and never dead-lettered. */
export const isUnavailable = (error: unknown): error is DecodeError =>
  Render.isInstance(error, DecodeError) && error.reason === "Unavailable"

const isWrapper = (error: unknown): error is TemporaryError | NonRetryableError =>
  Render.isInstance(error, TemporaryError) || Render.isInstance(error, NonRetryableError)

/** How many levels of nested wrappers are unwrapped. */
const maxWrappers = 8

/** The wrapped value, or the value itself. */
const unwrapped = (error: unknown): unknown => {
  let inner = error
  for (let depth = 0; depth < maxWrappers && isWrapper(inner); depth++) inner = Render.read(inner, "cause")
  return inner
}

/** A short text for any thrown or failed value, at most 4,096 characters. */
export const messageOf = (error: unknown): string => {
  const inner = unwrapped(error)
  return isWrapper(inner) ? Render.typeOf(inner) : Render.messageOf(inner)
}

/**
 * The kind of a failure: its `_tag`, else its error class, else its JavaScript type. For a wrapper, its cause's kind.
 */
export const typeOf = (error: unknown): string => {
  const inner = unwrapped(error)
  return Render.typeOf(isWrapper(error) && (typeof inner !== "object" || inner === null) ? error : inner)
}

/** An error's stack; for a wrapper, its cause's. Without a stack, its type and message. */
export const stackOf = (error: unknown): string =>
  Render.stackOf(unwrapped(error)) ?? `${typeOf(error)}: ${messageOf(error)}`
