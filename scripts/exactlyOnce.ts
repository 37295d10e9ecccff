/**
 * `npm run exactly-once -- [--records N] [--kills N] [--seed S]` kills a transactional pipeline on a real broker: that
 * of `KAFKA_BROKERS`, or one of its own (which needs Java and Maven). Ends with one line of JSON that accounts for
 * every result and dead letter.
 */
import { parseArgs } from "node:util"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as ExactlyOnce from "./exactlyOnce/run.js"
import { make } from "./kafka/broker.js"

const { values } = parseArgs({
  options: {
    records: { type: "string", default: "100000" },
    kills: { type: "string", default: "20" },
    seed: { type: "string", default: "1" }
  }
})

const whole = (name: keyof typeof values): number => {
  const value = Number(values[name])
  if (Number.isSafeInteger(value) && value >= 0) return value
  console.error(`--${name}: must be a whole number, not ${values[name]}`)
  process.exit(2)
}

const given = process.env["KAFKA_BROKERS"] ?? ""

const brokers = given === "" ? Effect.map(make(), ({ bootstrap }) => [bootstrap]) : Effect.succeed(given.split(","))

Effect.flatMap(brokers, (brokers) =>
  ExactlyOnce.run({
    brokers,
    records: whole("records"),
    kills: whole("kills"),
    seed: whole("seed"),
    onEvent: (line) => console.error(line)
  })
).pipe(
  Effect.tap((report) =>
    Effect.sync(() => {
      console.log(JSON.stringify({ exactlyOnce: report }))
      process.exitCode = ExactlyOnce.isExact(report) ? 0 : 1
    })
  ),
  Effect.scoped,
  Effect.provide(Logger.remove(Logger.defaultLogger)),
  NodeRuntime.runMain({ disablePrettyLogger: true })
)
