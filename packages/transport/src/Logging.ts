/**
 * For runtimes: log lines about records, and few of them in storms.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Monotonic from "./internal/monotonic.js"

export interface Limit {
  readonly lines: number
  readonly every: Duration.DurationInput
}

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
