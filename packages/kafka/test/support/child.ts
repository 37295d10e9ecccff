/**
 * A consumer program in its own process, so that real signals reach it.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import * as Signal from "../../src/internal/concurrency/signal.js"
import type { ProgramOptions } from "./consumerProgram.js"
import * as Fixture from "./fixture.js"

export interface Exited {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface Child {
  /** The lines that it printed. */
  readonly lines: ReadonlyArray<string>
  /** The records that it has printed as handled, in order. */
  readonly handled: () => ReadonlyArray<{ readonly partition: number; readonly offset: number }>
  /** Ends when it has printed this many lines (default: 1) that contain the text. */
  readonly prints: (text: string, times?: number) => Effect.Effect<void, Error>
  readonly signal: (name: NodeJS.Signals) => Effect.Effect<void>
  /** Ends when the process has ended and all its output was read. */
  readonly exited: Effect.Effect<Exited, Error>
}

const repository = fileURLToPath(new URL("../../../..", import.meta.url))
const program = fileURLToPath(new URL("./consumerProgram.ts", import.meta.url))

const kill = (child: ChildProcess) => Effect.sync(() => child.kill("SIGKILL"))

/** Starts `consumerProgram.ts`; killed when the scope closes. */
export const start = (options: ProgramOptions) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() =>
        spawn(
          process.execPath,
          ["--conditions=@spillway/source", "--import", "tsx", program, JSON.stringify(options)],
          { cwd: repository, stdio: ["ignore", "pipe", "pipe"] }
        )
      ),
      kill
    ),
    (child): Child => {
      const lines: Array<string> = []
      const changed = Signal.make()
      let exit: Exited | undefined
      for (const stream of [child.stdout, child.stderr]) {
        createInterface({ input: stream }).on("line", (line) => {
          lines.push(line)
          changed.notify()
        })
      }
      child.on("close", (code, signal) => {
        exit = { code, signal }
        changed.notify()
      })
      const until = (what: string, condition: () => boolean) =>
        Effect.gen(function* () {
          while (!condition()) {
            if (exit !== undefined) return yield* Effect.fail(new Error(`${what}: it has ended:\n${lines.join("\n")}`))
            yield* changed.wait()
          }
        }).pipe(Fixture.within(what, "30 seconds"))
      return {
        lines,
        handled: () =>
          lines
            .filter((line) => line.startsWith("handled "))
            .map((line) => {
              const [, partition, offset] = line.split(" ").map(Number)
              return { partition: partition!, offset: offset! }
            }),
        prints: (text, times = 1) =>
          until(`print "${text}"`, () => lines.filter((line) => line.includes(text)).length >= times),
        signal: (name) => Effect.sync(() => child.kill(name)),
        exited: Effect.map(
          until("exit", () => exit !== undefined),
          () => exit!
        )
      }
    }
  )
