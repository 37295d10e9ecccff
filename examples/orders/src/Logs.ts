import * as Array from "effect/Array"
import * as Cause from "effect/Cause"
import * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Screen from "./screen.js"

/** An expected failure is an error, not a defect: its message is enough, unless someone debugs. */
const withoutExpectedStacks = <A>(logger: Logger.Logger<unknown, A>): Logger.Logger<unknown, A> =>
  Logger.make((options) => {
    const { annotations, cause } = options
    if (Cause.isEmpty(cause) || Cause.isDie(cause)) return logger.log(options)
    const error = Cause.prettyErrors(cause)
      .map(({ message }) => message)
      .join("; ")
    const shown = HashMap.has(annotations, "error") ? annotations : HashMap.set(annotations, "error", error)
    return logger.log({ ...options, annotations: shown, cause: Cause.empty })
  })

const screen = (paint: Screen.Paint, print: (line: string) => void): Logger.Logger<unknown, void> =>
  Logger.make(({ annotations, cause, logLevel, message }) => {
    const line = Screen.line(
      {
        level: logLevel.label as Screen.Event["level"],
        message: Array.ensure(message).join(" "),
        annotations: Object.fromEntries(HashMap.toEntries(annotations))
      },
      paint
    )
    if (line === undefined) return
    print(Cause.isEmpty(cause) ? line : `${line}\n${Cause.pretty(cause)}`)
  })

export interface Output {
  readonly isTTY: boolean
  readonly hasColours: boolean
  readonly print: (line: string) => void
}

/**
 * In a terminal, lines that a person can follow; otherwise structured lines. `LOG_LEVEL` is the lowest level (default:
 * `INFO`); with `DEBUG`, all lines are structured and contain the stacks of expected failures.
 */
export const layer = ({ hasColours, isTTY, print }: Output): Layer.Layer<never, ConfigError> =>
  Layer.unwrapEffect(
    Effect.map(Config.withDefault(Config.logLevel("LOG_LEVEL"), LogLevel.Info), (level) => {
      const isDebugging = LogLevel.lessThanEqual(level, LogLevel.Debug)
      const structured = Logger.map(Logger.logfmtLogger, print)
      const paint = hasColours ? Screen.colours : Screen.plain
      const logger = isDebugging ? structured : withoutExpectedStacks(isTTY ? screen(paint, print) : structured)
      return Layer.mergeAll(
        Logger.replace(Logger.defaultLogger, logger),
        Logger.minimumLogLevel(level),
        isTTY && !isDebugging ? Layer.effectDiscard(Effect.sync(() => print(Screen.legend(paint)))) : Layer.empty
      )
    })
  )

/** The output of this process. */
export const process: Output = {
  isTTY: globalThis.process.stdout.isTTY === true,
  hasColours: globalThis.process.env["NO_COLOR"] === undefined,
  print: (line) => console.log(line)
}
