/**
 * Kafka's own Java client in a process beside the test, to check that each client reads the other's records.
 */
import { spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { classPath } from "../../../../scripts/kafka/distribution.js"

export interface JavaClient {
  /** Runs one command of `JavaClient.java` and returns the lines of its answer. */
  readonly ask: (...words: ReadonlyArray<string | number>) => Effect.Effect<ReadonlyArray<string>, Error>
}

/** A client that is killed when the scope closes. */
export const make = Effect.fnUntraced(function* (brokers: string): Effect.fn.Return<JavaClient, Error, Scope.Scope> {
  const classes = yield* classPath
  const source = fileURLToPath(new URL("JavaClient.java", import.meta.url))
  const java = yield* Effect.acquireRelease(
    Effect.sync(() => spawn("java", ["-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", classes, source, brokers])),
    (java) => Effect.sync(() => java.kill("SIGKILL"))
  )
  let errors = ""
  let ended = false
  let lines: Array<string> = []
  let answer: ((lines: Effect.Effect<ReadonlyArray<string>, Error>) => void) | undefined
  const fail = () => answer?.(Effect.fail(new Error(`the Java client ended:\n${errors}`)))
  java.stderr.on("data", (chunk) => {
    errors += String(chunk)
  })
  java.on("close", () => {
    ended = true
    fail()
  })
  createInterface({ input: java.stdout }).on("line", (line) => {
    if (line !== ".") return void lines.push(line)
    answer?.(Effect.succeed(lines))
    lines = []
  })
  const oneAtATime = Effect.unsafeMakeSemaphore(1)
  return {
    ask: (...words) =>
      oneAtATime.withPermits(1)(
        Effect.async((resume) => {
          answer = resume
          if (ended) return fail()
          java.stdin.write(`${words.join(" ")}\n`)
        })
      )
  }
})
