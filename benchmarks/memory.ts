/**
 * How much memory a consumer takes whose handler is slow while a million records wait: in a process of its own, on
 * Kafka, watched for a minute.
 */
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import { numberArgument } from "./arguments.js"
import * as Brokers from "./brokers.js"
import type { SlowTask, Watched } from "./contenders/slow.js"
import * as Preload from "./preload.js"

const program = fileURLToPath(new URL("contenders/slow.ts", import.meta.url))

const watch = (task: SlowTask): Effect.Effect<Watched, Error> =>
  Effect.async<Watched, Error>((resume) => {
    const child = spawn(
      process.execPath,
      ["--conditions=@spillway/source", "--import", "tsx", program, JSON.stringify(task)],
      { stdio: ["ignore", "pipe", "inherit"] }
    )
    let output = ""
    child.stdout.on("data", (chunk) => {
      output += String(chunk)
    })
    child.on("close", (code) => {
      const last = output.trim().split("\n").at(-1) ?? ""
      resume(code === 0 ? Effect.sync(() => JSON.parse(last)) : Effect.fail(new Error(`exit code ${code}`)))
    })
    return Effect.sync(() => child.kill("SIGKILL"))
  })

export const memory = Effect.scoped(
  Effect.gen(function* () {
    const brokers = yield* Brokers.given
    const topic = yield* Preload.topic(brokers, numberArgument("records", 1_000_000))
    const bufferBytes = numberArgument("buffer", 64 * 1024 * 1024)
    const seconds = numberArgument("seconds", 60)
    const watched = yield* watch({ brokers, topic, groupId: crypto.randomUUID(), bufferBytes, seconds })
    const bound = watched.startBytes + 3 * bufferBytes
    console.log(
      JSON.stringify({
        benchmark: "memory",
        seconds,
        bufferBytes,
        ...watched,
        bound,
        within: watched.peakBytes < bound
      })
    )
  })
)
