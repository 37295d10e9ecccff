/**
 * Log lines, kept for a test to look at.
 */
import * as Array from "effect/Array"
import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"

export interface Line {
  readonly level: LogLevel.LogLevel["_tag"]
  readonly message: string
  readonly annotations: Readonly<Record<string, unknown>>
  /** As `Logger.jsonLogger` writes it. */
  readonly text: string
}

/** Runs a test whose lines are kept, at every level. */
export const logged = <A, E, R>(test: (lines: ReadonlyArray<Line>) => Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const lines: Array<Line> = []
    const logger = Logger.make<unknown, void>((entry) => {
      lines.push({
        level: entry.logLevel._tag,
        message: Array.ensure(entry.message).map(String).join(" "),
        annotations: Object.fromEntries(HashMap.toEntries(entry.annotations)),
        text: Logger.jsonLogger.log(entry)
      })
    })
    return test(lines).pipe(Effect.provide(Logger.add(logger)), Logger.withMinimumLogLevel(LogLevel.All))
  })
