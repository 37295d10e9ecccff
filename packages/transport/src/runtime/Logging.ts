/**
 * Log lines about records, with rate limits. For Spillway's own runtimes; unstable.
 */
import type * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as LogLevel from "effect/LogLevel"
import * as Diagnosis from "./Diagnosis.js"
import * as Monotonic from "./Monotonic.js"

/** A rate limit of log lines: `lines` per interval `every`. */
export interface Limit {
  /** The number of lines that pass per interval. */
  readonly lines: number
  /** The length of an interval. */
  readonly every: Duration.DurationInput
}

/**
 * Logs one line with annotations and the cause of a failure, which any logger can render. If a logger throws anyway,
 * only that line is lost.
 */
export const log = (
  level: LogLevel.LogLevel,
  message: string,
  annotations: Readonly<Record<string, unknown>>,
  cause?: Cause.Cause<unknown> | undefined
): Effect.Effect<void> =>
  Effect.flatMap(FiberRef.get(FiberRef.currentMinimumLogLevel), (minimum) => {
    if (LogLevel.lessThan(level, minimum)) return Effect.void
    const line =
      cause === undefined
        ? Effect.logWithLevel(level, message)
        : Effect.logWithLevel(level, message, Diagnosis.renderable(cause))
    return Effect.catchAllDefect(Effect.annotateLogs(line, annotations), () => Effect.void)
  })

/** Enough to diagnose a problem, however many records it affects. */
export const storm: Limit = { lines: 10, every: "10 seconds" }

/**
 * Passes at most `lines` lines of one kind per interval, which starts with its first line, and drops the others. The
 * next line that passes carries the number dropped before it, as the annotation `suppressed`.
 */
export const limited = ({ every, lines }: Limit): ((line: Effect.Effect<void>) => Effect.Effect<void>) => {
  const millis = Duration.toMillis(every)
  let ends = Number.NEGATIVE_INFINITY
  let passed = 0
  let suppressed = 0
  return (line) =>
    Effect.flatMap(Monotonic.now, (now) => {
      if (now >= ends) {
        ends = now + millis
        passed = 0
      }
      if (passed === lines) {
        suppressed++
        return Effect.void
      }
      passed++
      if (suppressed === 0) return line
      const count = suppressed
      suppressed = 0
      return Effect.annotateLogs(line, "suppressed", count)
    })
}
