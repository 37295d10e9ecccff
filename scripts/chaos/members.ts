/**
 * The members of the group in a chaos run: processes that are killed, frozen and replaced, the records they report as
 * handled, and the faults that they met.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import type { Handling, History } from "./account.js"
import type { ProgramOptions } from "./program.js"

interface Member {
  readonly name: string
  readonly process: ChildProcess
  readonly logs: Array<string>
  /** Its exit code once it has ended; -1 for a signal. */
  readonly ended: Promise<number>
  frozen: boolean
}

export interface Members {
  readonly start: Effect.Effect<void>
  /** Kills one of the running members, chosen by a number in [0, 1), and starts another. */
  readonly replace: (choice: number) => Effect.Effect<string>
  /** Freezes one of the running members, if any, for `milliseconds`. */
  readonly freeze: (choice: number, milliseconds: number, onFrozen: (name: string) => void) => Effect.Effect<void>
  /** Asks all members to stop. Returns their exit codes when they have. */
  readonly stop: Effect.Effect<ReadonlyArray<number>>
  /** By record. */
  readonly handlings: ReadonlyMap<number, ReadonlyArray<Handling>>
  readonly history: History
  readonly logsOf: (name: string) => ReadonlyArray<string>
  /** The names of all members, ended ones too. */
  readonly names: () => ReadonlyArray<string>
}

const program = fileURLToPath(new URL("program.ts", import.meta.url))

const lossOf = (line: string): number | undefined =>
  line.includes("The membership was lost") ? Date.parse(/timestamp=(\S+)/.exec(line)?.[1] ?? "") : undefined

/** Members that are killed when the scope closes. None is running yet. */
export const make = Effect.fnUntraced(function* (
  options: ProgramOptions
): Effect.fn.Return<Members, never, Scope.Scope> {
  const scope = yield* Effect.scope
  const members: Array<Member> = []
  const handlings = new Map<number, Array<Handling>>()
  const killed = new Map<string, number>()
  const frozen: Array<{ member: string; from: number; until: number }> = []
  const lost: Array<{ member: string; at: number }> = []

  const onHandled = (member: string, line: string) => {
    const [, at, partition, offset, record] = line.split(" ").map(Number)
    const handling: Handling = { member, at: at!, partition: partition!, offset: offset! }
    const times = handlings.get(record!)
    if (times === undefined) handlings.set(record!, [handling])
    // The lines of several processes may be out of order.
    else times.splice(times.findLastIndex((before) => before.at <= handling.at) + 1, 0, handling)
  }

  const spawnMember = (): Member => {
    const name = `member-${members.length + 1}`
    const child = spawn(
      process.execPath,
      ["--conditions=@spillway/source", "--import", "tsx", program, JSON.stringify(options)],
      { stdio: ["ignore", "pipe", "pipe"] }
    )
    const logs: Array<string> = []
    createInterface({ input: child.stdout }).on("line", (line) => {
      if (line.startsWith("handled ")) onHandled(name, line)
    })
    createInterface({ input: child.stderr }).on("line", (line) => {
      logs.push(line)
      const at = lossOf(line)
      if (at !== undefined) lost.push({ member: name, at })
    })
    const ended = new Promise<number>((resolve) => child.on("close", (code) => resolve(code ?? -1)))
    return { name, process: child, logs, ended, frozen: false }
  }

  const start = Effect.suspend(() => {
    const member = spawnMember()
    members.push(member)
    return Scope.addFinalizer(
      scope,
      Effect.promise(() => {
        member.process.kill("SIGKILL")
        return member.ended
      })
    )
  })

  const alive = () => members.filter(({ name, process }) => process.exitCode === null && !killed.has(name))

  const choose = (choice: number) => {
    const running = alive().filter(({ frozen }) => !frozen)
    return running[Math.floor(choice * running.length)]
  }

  return {
    start,
    handlings,
    history: { killed, frozen, lost },
    logsOf: (name) => members.find((member) => member.name === name)?.logs ?? [],
    names: () => members.map(({ name }) => name),
    replace: (choice) =>
      Effect.suspend(() => {
        const member = choose(choice)
        if (member !== undefined) {
          killed.set(member.name, Date.now())
          member.process.kill("SIGKILL")
        }
        return Effect.as(start, member?.name ?? "none")
      }),
    freeze: (choice, milliseconds, onFrozen) =>
      Effect.suspend(() => {
        const member = choose(choice)
        if (member === undefined) return Effect.void
        onFrozen(member.name)
        const freezing = { member: member.name, from: Date.now(), until: Number.POSITIVE_INFINITY }
        frozen.push(freezing)
        member.frozen = true
        member.process.kill("SIGSTOP")
        return Effect.sleep(milliseconds).pipe(
          Effect.ensuring(
            Effect.sync(() => {
              freezing.until = Date.now()
              member.frozen = false
              member.process.kill("SIGCONT")
            })
          )
        )
      }),
    stop: Effect.promise(() => {
      const running = alive()
      for (const { process } of running) process.kill("SIGTERM")
      return Promise.all(running.map(({ ended }) => ended))
    })
  }
})
