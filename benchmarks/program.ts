import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"

/**
 * Runs a benchmark's program, named without its extension, in a process of its own. The last line it prints is its
 * result.
 */
export const run = <A>(program: string, task: unknown): Effect.Effect<A, Error> =>
  Effect.async<A, Error>((resume) => {
    const file = fileURLToPath(new URL(`${program}.ts`, import.meta.url))
    // Runs compiled packages, as users do: running the sources adds a call to each function that is created.
    const child = spawn(process.execPath, ["--import", "tsx", file, JSON.stringify(task)], {
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, KAFKAJS_NO_PARTITIONER_WARNING: "1" }
    })
    let output = ""
    child.stdout.on("data", (chunk) => {
      output += String(chunk)
    })
    child.on("close", (code) => {
      const last = output.trim().split("\n").at(-1) ?? ""
      resume(code === 0 ? Effect.sync(() => JSON.parse(last)) : Effect.fail(new Error(`${program}: exit code ${code}`)))
    })
    return Effect.sync(() => child.kill("SIGKILL"))
  }).pipe(
    Effect.timeoutFail({
      duration: "5 minutes",
      onTimeout: () => new Error(`${program}: not done within 5 minutes`)
    })
  )
