/**
 * How often and after which delays a failed record is retried. A policy is a `Schedule` over the failure, so any
 * schedule can replace it.
 */

import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import type { HandlerFailure } from "./HandlerError.js"
import * as Backoff from "./internal/backoff.js"
import { show } from "./runtime/Environment.js"

/** A schedule over the failures of a record. It ends when the record is not retried any more. */
export type RetryPolicy = Schedule.Schedule<unknown, HandlerFailure>

/** The options of `exponential`. */
export interface ExponentialOptions {
  /** Retries after the first attempt; `Infinity` for no limit. Default: 3. */
  readonly retries?: number | undefined
  /** The delay before the first retry. Default: 1 second. */
  readonly base?: Duration.DurationInput | undefined
  /** The factor between one delay and the next, at least 1. Default: 2. */
  readonly factor?: number | undefined
  /** The longest delay. Default: 30 seconds. */
  readonly cap?: Duration.DurationInput | undefined
  /** Shortens each delay by a random share of up to one half, which spreads retries out. Default: true. */
  readonly jitter?: boolean | undefined
}

/** The options of `fixed`. */
export interface FixedOptions {
  /** Retries after the first attempt; `Infinity` for no limit. Default: 3. */
  readonly retries?: number | undefined
  /** The delay before each retry. Default: 1 second. */
  readonly delay?: Duration.DurationInput | undefined
}

const shown = (value: unknown): string =>
  typeof value === "object" && !Duration.isDuration(value) ? show(value) : String(value)

/** An invalid option. Thrown where the policy is built, since it is a programming error. */
export class RetryPolicyError extends Data.TaggedError("RetryPolicyError")<{
  /** The option's name. */
  readonly field: string
  /** The value that can't be used. */
  readonly value: unknown
  /** A value that could be used, such as `a number, at least 1`. */
  readonly expected: string
}> {
  override get message(): string {
    return `${this.field} must be ${this.expected}, got ${shown(this.value)}`
  }
}

/** Delays that grow by a factor up to a maximum. Throws a `RetryPolicyError` on an invalid option. */
export const exponential = (options: ExponentialOptions = {}): Schedule.Schedule<number> => {
  const backoff: Backoff.Backoff = {
    base: finiteMillis("base", options.base ?? "1 second"),
    factor: atLeastOne("factor", options.factor ?? 2),
    cap: finiteMillis("cap", options.cap ?? "30 seconds"),
    jitter: options.jitter ?? true
  }
  return recurs(options.retries, (retry) =>
    Effect.map(backoff.jitter ? Random.next : Effect.succeed(0), (random) => Backoff.delay(backoff, retry, random))
  )
}

/** A constant delay before each retry. Throws a `RetryPolicyError` on an invalid option. */
export const fixed = (options: FixedOptions = {}): Schedule.Schedule<number> => {
  const delay = Effect.succeed(finiteMillis("delay", options.delay ?? "1 second"))
  return recurs(options.retries, () => delay)
}

/** No retries: the first failure is final. */
export const none: Schedule.Schedule<number> = Schedule.recurs(0)

const recurs = (
  retries: number | undefined = 3,
  delay: (retry: number) => Effect.Effect<number>
): Schedule.Schedule<number> => {
  if (!(retries >= 0 && (Number.isInteger(retries) || retries === Number.POSITIVE_INFINITY))) {
    throw new RetryPolicyError({ field: "retries", value: retries, expected: "a whole number, at least 0" })
  }
  return Schedule.addDelayEffect(Schedule.recurs(retries), delay)
}

const atLeastOne = (field: string, value: number): number => {
  if (Number.isFinite(value) && value >= 1) return value
  throw new RetryPolicyError({ field, value, expected: "a number, at least 1" })
}

const finiteMillis = (field: string, value: Duration.DurationInput): number => {
  const millis = Option.map(Duration.decodeUnknown(value), Duration.toMillis)
  if (isNegative(value) || Option.isNone(millis) || !Number.isFinite(millis.value)) {
    throw new RetryPolicyError({ field, value, expected: "a finite duration, at least 0" })
  }
  return millis.value
}

/** `Duration` reads negative numbers and NaN as zero. */
const isNegative = (value: Duration.DurationInput): boolean =>
  typeof value === "number" || typeof value === "bigint"
    ? !(value >= 0)
    : typeof value === "string"
      ? value.startsWith("-")
      : Array.isArray(value) && value.some((part) => !(part >= 0))
