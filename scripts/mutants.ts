/**
 * `npm run mutants [-- --only TEXT]` breaks Spillway in one way after the other. The simulation must find each mutant,
 * or the tests that cover what the simulation can't see. The sources stay unchanged. Ends with one line of JSON.
 */
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { type Mutant, mutants } from "./mutants/mutants.js"

const { values } = parseArgs({
  options: { only: { type: "string", default: "" }, seeds: { type: "string", default: "500" } }
})

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

/** Longer than all seeds take: a mutant that never ends counts as caught. */
const limitMs = 900_000

interface Ran {
  readonly caught: boolean
  /** The promise that it broke, or the test that failed. */
  readonly how: string
}

const simulation = [
  "--conditions=@spillway/source",
  ...["--import", here("mutants/register.mjs"), "--import", "tsx"],
  ...[here("simulate.ts"), "--seeds", values.seeds, "--until-violation"]
]

const tests = (files: ReadonlyArray<string>): ReadonlyArray<string> => [
  here("../node_modules/vitest/vitest.mjs"),
  ...["run", ...files, "--bail", "1", "--config", here("mutants/vitest.config.mjs"), "--root", here("..")]
]

const howBroken = (output: string): string | undefined => {
  const promise = /seed (\d+) breaks a promise: (.*)/.exec(output)
  if (promise !== null) return `seed ${promise[1]}: ${promise[2]}`
  const test = /FAIL +(\S+) > (.*)/.exec(output)
  return test === null ? undefined : `${test[1]}: ${test[2]}`
}

const run = ({ by, file, heldBy, replace }: Mutant): Promise<Ran> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, heldBy === undefined ? simulation : tests(heldBy), {
      env: { ...process.env, MUTATION: JSON.stringify({ file, replace, by }), NO_COLOR: "1" },
      stdio: ["ignore", "pipe", "pipe"]
    })
    let output = ""
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk) => {
        output += String(chunk)
      })
    }
    let hangs = false
    const limit = setTimeout(() => {
      hangs = true
      child.kill("SIGKILL")
    }, limitMs)
    child.on("close", (code) => {
      clearTimeout(limit)
      const how = howBroken(output)
      if (how !== undefined) resolve({ caught: true, how })
      else if (hangs) resolve({ caught: true, how: "it never ends" })
      else if (code === 0) resolve({ caught: false, how: "no promise was broken" })
      else reject(new Error(output))
    })
  })

let caught = 0
const wanted = mutants.filter(({ name }) => name.includes(values.only))
for (const mutant of wanted) {
  const found = await run(mutant)
  if (found.caught) caught++
  console.log(`${found.caught ? "caught" : "NOT CAUGHT"}: ${mutant.name} (${found.how})`)
}
console.log(JSON.stringify({ mutants: { total: wanted.length, caught } }))
process.exitCode = caught === wanted.length ? 0 : 1
