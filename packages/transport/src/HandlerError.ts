/**
 * What a handler's failure means: retried, retried after a delay of its own, or dead-lettered at once.
 */
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"

/** Retried by the policy; `delay`, when given, replaces the policy's next delay. */
export class TemporaryError extends Data.TaggedError("TemporaryError")<{
  readonly cause: unknown
  readonly delay?: Duration.DurationInput | undefined
}> {
  override get message(): string {
    return messageOf(this.cause)
  }
}

/** Goes to the dead letter queue at once. */
export class NonRetryableError extends Data.TaggedError("NonRetryableError")<{ readonly cause: unknown }> {
  override get message(): string {
    return messageOf(this.cause)
  }
}

/** Fails with a `TemporaryError`: the record is retried, after `delay` if given, else as the policy says. */
export const temporary = (
  cause: unknown,
  delay?: Duration.DurationInput | undefined
): Effect.Effect<never, TemporaryError> => Effect.fail(new TemporaryError({ cause, delay }))

/** Fails with a `NonRetryableError`: the record goes to the dead letter queue at once. */
export const nonRetryable = (cause: unknown): Effect.Effect<never, NonRetryableError> =>
  Effect.fail(new NonRetryableError({ cause }))

/** The handler ran longer than `handlerTimeout` and was interrupted. */
export class HandlerTimeout extends Data.TaggedError("HandlerTimeout")<{ readonly timeout: Duration.Duration }> {
  override get message(): string {
    return `the handler ran longer than ${this.timeout.toString()}`
  }
}

/** One failed attempt, as retry schedules and `classify` see it. */
export interface HandlerFailure {
  /** The typed error, or the defect; an interrupted handler has its `InterruptedException`. */
  readonly error: unknown
  readonly cause: Cause.Cause<unknown>
  /** 1 for the first attempt. */
  readonly attempt: number
}

/** What follows a failure. */
export type Decision =
  | { readonly _tag: "Retry"; readonly delay?: Duration.DurationInput | undefined }
  | { readonly _tag: "DeadLetter" }

export const retry = (delay?: Duration.DurationInput | undefined): Decision => ({ _tag: "Retry", delay })

export const deadLetter: Decision = { _tag: "DeadLetter" }

export type Classify = (failure: HandlerFailure) => Decision

/** `NonRetryableError` is dead-lettered; `TemporaryError` is retried after its delay; all else is retried. */
export const classify: Classify = ({ error }) => {
  if (error instanceof NonRetryableError) return deadLetter
  if (error instanceof TemporaryError) return retry(error.delay)
  return retry()
}

/** The failure behind a cause: its first typed error, else its first defect, else the interruption. */
export const failureOf = (cause: Cause.Cause<unknown>, attempt: number): HandlerFailure => ({
  cause,
  attempt,
  error: Option.getOrElse(Cause.failureOption(cause), () => Cause.squash(cause))
})

/** A short text of any thrown or failed value. */
export const messageOf = (error: unknown): string => {
  try {
    if (error instanceof Error) return String(error.message || error.name)
    if (typeof error === "string") return error
    if (typeof error === "object" && error !== null && "_tag" in error) return String(error._tag)
    return JSON.stringify(error) ?? String(error)
  } catch {
    return `a value of type ${typeof error}`
  }
}

/** The name of a failure's kind: its `_tag`, else its error class, else its JavaScript type. A wrapper names its cause. */
export const typeOf = (error: unknown): string => {
  if (error instanceof TemporaryError || error instanceof NonRetryableError) {
    return typeof error.cause === "object" && error.cause !== null ? typeOf(error.cause) : error._tag
  }
  if (typeof error === "object" && error !== null) {
    if ("_tag" in error && typeof error._tag === "string") return error._tag
    if (error instanceof Error) return String(error.name)
  }
  return typeof error
}

/** Where an error came from: its stack, a wrapper's cause's; for what has none, its type and message. */
export const stackOf = (error: unknown): string => {
  if (error instanceof TemporaryError || error instanceof NonRetryableError) return stackOf(error.cause)
  try {
    if (error instanceof Error && typeof error.stack === "string") return error.stack
  } catch {}
  return `${typeOf(error)}: ${messageOf(error)}`
}
