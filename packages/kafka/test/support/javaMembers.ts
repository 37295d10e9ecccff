/**
 * Group members of Kafka's own Java client, in a process beside the test.
 */
import { spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { classPath } from "../../../../scripts/kafka/distribution.js"
import * as Signal from "../../src/internal/concurrency/signal.js"
import * as Fixture from "./fixture.js"

export interface JavaMember {
  readonly handled: () => ReadonlyArray<{ readonly partition: number; readonly offset: number }>
  /** The partitions that it reports as assigned. */
  readonly owned: () => ReadonlyArray<number>
  /** Ends when the condition holds. */
  readonly until: (what: string, holds: () => boolean) => Effect.Effect<void, Error>
  /** Closes it, which leaves the group; ends when it has. */
  readonly stop: Effect.Effect<void, Error>
}

export interface JavaMembers {
  readonly start: (
    groupId: string,
    topic: string,
    assignor: "cooperative-sticky" | "range"
  ) => Effect.Effect<JavaMember>
}

/** Killed when the scope closes. */
export const make = Effect.fnUntraced(function* (brokers: string): Effect.fn.Return<JavaMembers, Error, Scope.Scope> {
  const classes = yield* classPath
  const source = fileURLToPath(new URL("JavaMembers.java", import.meta.url))
  const java = yield* Effect.acquireRelease(
    Effect.sync(() => spawn("java", ["-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", classes, source, brokers])),
    (java) => Effect.sync(() => java.kill("SIGKILL"))
  )
  const lines: Array<ReadonlyArray<string>> = []
  const changed = Signal.make()
  let errors = ""
  let ended = false
  java.stderr.on("data", (chunk) => {
    errors += String(chunk)
  })
  java.on("close", () => {
    ended = true
    changed.notify()
  })
  createInterface({ input: java.stdout }).on("line", (line) => {
    lines.push(line.trim().split(" "))
    changed.notify()
  })
  let count = 0
  return {
    start: (groupId, topic, assignor) =>
      Effect.sync(() => {
        const id = `java-${++count}`
        java.stdin.write(`start ${id} ${groupId} ${topic} ${assignor}\n`)
        const mine = () => lines.filter(([of]) => of === id)
        const until: JavaMember["until"] = (what, holds) =>
          Effect.gen(function* () {
            while (!holds()) {
              if (ended) return yield* Effect.fail(new Error(`the Java members ended:\n${errors}`))
              yield* changed.wait()
            }
          }).pipe(Fixture.within(what, "40 seconds"))
        return {
          handled: () =>
            mine()
              .filter(([, event]) => event === "handled")
              .map(([, , partition, offset]) => ({ partition: Number(partition), offset: Number(offset) })),
          owned: () => {
            const owned = new Set<number>()
            for (const [, event, ...partitions] of mine()) {
              if (event === "assigned") for (const partition of partitions) owned.add(Number(partition))
              if (event === "revoked" || event === "lost")
                for (const partition of partitions) owned.delete(Number(partition))
            }
            return [...owned].sort((a, b) => a - b)
          },
          until,
          stop: Effect.suspend(() => {
            java.stdin.write(`stop ${id}\n`)
            return until(`stop of ${id}`, () => mine().some(([, event]) => event === "stopped"))
          })
        }
      })
  }
})
