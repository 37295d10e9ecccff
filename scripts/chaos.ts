/**
 * `npm run chaos -- --minutes N [--seed S]`: three real brokers, a group of processes under load, and faults drawn from
 * the seed; needs Java and Maven. Ends with one line of JSON that accounts for every acknowledged record.
 */
import { parseArgs } from "node:util"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Chaos from "./chaos/run.js"

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "1" },
    seed: { type: "string", default: "1" },
    rate: { type: "string", default: "400" }
  }
})

const positive = (name: keyof typeof values): number => {
  const value = Number(values[name])
  if (Number.isFinite(value) && value > 0) return value
  console.error(`--${name}: must be a number above zero, not ${values[name]}`)
  process.exit(2)
}

const minutes = positive("minutes")

Chaos.run({
  seed: positive("seed"),
  milliseconds: minutes * 60_000,
  recordsPerSecond: positive("rate"),
  onEvent: (line) => console.error(line)
}).pipe(
  Effect.tap((report) =>
    Effect.sync(() => {
      const { lost, writtenTwice } = report
      const counts = { lost: lost.length, writtenTwice: writtenTwice.length, unexplained: undefined }
      console.log(JSON.stringify({ chaos: { minutes, ...report, ...counts } }))
      process.exitCode = Chaos.isGood(report) ? 0 : 1
    })
  ),
  Effect.provide(Logger.remove(Logger.defaultLogger)),
  NodeRuntime.runMain({ disablePrettyLogger: true })
)
