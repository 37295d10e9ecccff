/**
 * The runtime's log, as events to wait for and as the story of a failed test.
 */
import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Signal from "../../src/internal/concurrency/signal.js"

export interface Entry {
  readonly message: string
  readonly annotations: Readonly<Record<string, unknown>>
}

export interface Journal {
  readonly layer: Layer.Layer<never>
  readonly entries: ReadonlyArray<Entry>
  readonly print: () => void
  /** Ends when this many messages (default: 1) that contain the text have been logged since the start. */
  readonly logged: (text: string, times?: number) => Effect.Effect<ReadonlyArray<Entry>, Error>
}

export const make = (): Journal => {
  const entries: Array<Entry> = []
  const changed = Signal.make()
  const started = Date.now()
  const logger = Logger.make<unknown, void>(({ annotations, date, message }) => {
    const text = (Array.isArray(message) ? message : [message]).map(String).join(" ")
    entries.push({
      message: `+${date.getTime() - started} ${text}`,
      annotations: Object.fromEntries(HashMap.toEntries(annotations))
    })
    changed.notify()
  })
  const holding = (text: string) => entries.filter(({ message }) => message.includes(text))
  return {
    layer: Layer.merge(Logger.replace(Logger.defaultLogger, logger), Logger.minimumLogLevel(LogLevel.Debug)),
    entries,
    print: () => {
      for (const { annotations, message } of entries) console.error(message, annotations)
    },
    logged: (text, times = 1) =>
      Effect.gen(function* () {
        while (holding(text).length < times) yield* changed.wait()
        return holding(text)
      }).pipe(Effect.timeoutFail({ duration: "20 seconds", onTimeout: () => new Error(`"${text}" was not logged`) }))
  }
}
