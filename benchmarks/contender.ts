import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import type { Measurement, Task } from "./contenders/measure.js"

/** Runs a contender in a process of its own. */
export const measure = (contender: string, task: Task): Effect.Effect<Measurement, Error> =>
  Effect.async<Measurement, Error>((resume) => {
    const program = fileURLToPath(new URL(`contenders/${contender}.ts`, import.meta.url))
    const child = spawn(
      process.execPath,
      ["--conditions=@spillway/source", "--import", "tsx", program, JSON.stringify(task)],
      { stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, KAFKAJS_NO_PARTITIONER_WARNING: "1" } }
    )
    let output = ""
    child.stdout.on("data", (chunk) => {
      output += String(chunk)
    })
    child.on("close", (code) => {
      const last = output.trim().split("\n").at(-1) ?? ""
      resume(
        code === 0 ? Effect.sync(() => JSON.parse(last)) : Effect.fail(new Error(`${contender}: exit code ${code}`))
      )
    })
    return Effect.sync(() => child.kill("SIGKILL"))
  }).pipe(
    Effect.timeoutFail({
      duration: "5 minutes",
      onTimeout: () => new Error(`${contender}: not done within 5 minutes`)
    })
  )
