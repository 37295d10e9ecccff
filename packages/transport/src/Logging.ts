/**
 * For runtimes: log lines about records, and few of them in storms.
 */
import type * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as LogLevel from "effect/LogLevel"
import * as Diagnosis from "./Diagnosis.js"
import * as Monotonic from "./internal/monotonic.js"

export interface Limit {
  readonly lines: number
  readonly every: Duration.DurationInput
}

/**
 * One line, with annotations and the cause of a failure, which any logger can render. A logger that throws all the same
 * loses the line and nothing else.
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

/** Enough to see what is the matter, however many records it is the matter with. */
export const storm: Limit = { lines: 10, every: "10 seconds" }

/**
 * Lets so many lines of one kind pass in an interval, which begins with its first, and drops the others. The next line
 * that passes tells how many were dropped before it, as the annotation `suppressed`.
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
