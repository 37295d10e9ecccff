/**
 * `npm run simulate -- --seeds N [--from S]` plays seeds one after the other and ends with one line of JSON. A seed
 * that breaks a promise prints how, and the command that replays it: `--only` leaves out all other steps.
 * `--until-violation` stops at the first one.
 */
import { parseArgs } from "node:util"
import * as Simulation from "@spillway/memory/Simulation"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "500" },
    from: { type: "string", default: "1" },
    only: { type: "string" },
    trace: { type: "boolean", default: false },
    "until-violation": { type: "boolean", default: false }
  }
})

const count = (name: "seeds" | "from"): number => {
  const value = Number(values[name])
  if (Number.isSafeInteger(value) && value >= 1) return value
  console.error(`--${name}: must be a whole number from 1, not ${values[name]}`)
  process.exit(2)
}

const seeds = count("seeds")
const from = count("from")
const only = values.only === undefined ? undefined : values.only.split(",").filter(Boolean).map(Number)

// Stacks of the errors that faults make on purpose would cost more than everything else.
Error.stackTraceLimit = 0

const startedAt = performance.now()
let violations = 0
for (let seed = from; seed < from + seeds; seed++) {
  const outcome = Effect.runSync(Effect.either(Simulation.run(seed, { only, trace: values.trace })))
  if (Either.isRight(outcome)) {
    for (const line of outcome.right.trace) console.log(line)
    continue
  }
  violations++
  const failed = outcome.left
  if (values.trace) for (const line of failed.trace) console.log(line)
  console.log(failed.message)
  console.log(`replay: npm run simulate -- --seeds 1 --from ${seed} --only ${failed.only.join()} --trace\n`)
  if (values["until-violation"]) break
}
const seedsPerSecond = Math.round((seeds / (performance.now() - startedAt)) * 10_000) / 10
console.log(JSON.stringify({ simulation: { seeds, violations, seedsPerSecond } }))
process.exitCode = violations === 0 ? 0 : 1
