/**
 * `npm run exactness -- --records N [--seed S]` runs an idempotent producer on three real brokers, with disconnects,
 * lost answers and killed leaders drawn from the seed. It needs Java and Maven. Ends with one line of JSON that lists
 * missing, duplicate and misordered records.
 */
import { parseArgs } from "node:util"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Exactness from "./exactness/run.js"

const { values } = parseArgs({
  options: { records: { type: "string", default: "1000000" }, seed: { type: "string", default: "1" } }
})

const positive = (name: keyof typeof values): number => {
  const value = Number(values[name])
  if (Number.isSafeInteger(value) && value > 0) return value
  console.error(`--${name}: must be a whole number above zero, not ${values[name]}`)
  process.exit(2)
}

Exactness.run({
  seed: positive("seed"),
  records: positive("records"),
  killEveryMs: 5_000,
  onEvent: (line) => console.error(line)
}).pipe(
  Effect.tap((report) =>
    Effect.sync(() => {
      console.log(JSON.stringify({ exactness: report }))
      process.exitCode = Exactness.isGood(report) ? 0 : 1
    })
  ),
  Logger.withMinimumLogLevel(LogLevel.None),
  NodeRuntime.runMain
)
