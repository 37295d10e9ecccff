/** Runs the example as a user does, with `npm start`, and reads its log. */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"

/** One log line's fields. */
export type LogLine = Readonly<Record<string, string>>

export interface Program {
  readonly log: ReadonlyArray<LogLine>
  /** The first matching line, past or future. Fails when the program ends without it. */
  readonly line: (fits: (line: LogLine) => boolean) => Promise<LogLine>
  readonly metrics: () => Promise<{ readonly contentType: string | null; readonly body: string }>
  /** The answers of `/health` and `/health/ready`. */
  readonly health: () => Promise<{ readonly status: number; readonly ready: number }>
  /** Sends SIGTERM to npm and waits for the end. */
  readonly terminate: () => Promise<{ readonly code: number | null; readonly millis: number }>
  /** Kills any process that is left. */
  readonly dispose: () => void
}

const parseLine = (line: string): LogLine =>
  Object.fromEntries(
    Array.from(line.matchAll(/([^\s=]+)=("(?:[^"\\]|\\.)*"|\S*)/g), ([, key, value]) => [
      key!,
      value!.startsWith('"') ? String(JSON.parse(value!)) : value!
    ])
  )

export const start = (environment: Readonly<Record<string, string>> = {}): Program => {
  const { KAFKA_BROKERS: _, ...inherited } = process.env
  const child: ChildProcess = spawn("npm", ["start"], {
    cwd: new URL("..", import.meta.url),
    env: {
      ...inherited,
      PROMETHEUS_PORT: "0",
      PROMETHEUS_HOST: "127.0.0.1",
      HEALTH_PORT: "0",
      HEALTH_HOST: "127.0.0.1",
      ...environment
    },
    detached: true,
    stdio: ["ignore", "pipe", "pipe"]
  })
  const ended = once(child, "exit")
  const log: Array<LogLine> = []
  const output: Array<string> = []
  const watchers = new Set<() => void>()
  const read = (text: string): void => {
    output.push(text)
    if (text.startsWith("timestamp=")) log.push(parseLine(text))
    for (const watcher of watchers) watcher()
  }
  for (const stream of [child.stdout!, child.stderr!]) createInterface(stream).on("line", read)

  const line = (fits: (line: LogLine) => boolean): Promise<LogLine> =>
    new Promise((resolve, reject) => {
      let seen = 0
      const look = (): void => {
        for (; seen < log.length; seen++) {
          if (!fits(log[seen]!)) continue
          watchers.delete(look)
          resolve(log[seen]!)
          return
        }
      }
      watchers.add(look)
      look()
      child.once("close", () => reject(new Error(`the program ended:\n${output.join("\n")}`)))
    })

  return {
    log,
    line,
    metrics: async () => {
      const { path, port } = await line(({ message }) => message === "Metrics served")
      const response = await fetch(`http://127.0.0.1:${port}${path}`)
      return { contentType: response.headers.get("content-type"), body: await response.text() }
    },
    health: async () => {
      const { path, port } = await line(({ message }) => message === "Health served")
      const [all, ready] = await Promise.all(
        ["", "/ready"].map((end) => fetch(`http://127.0.0.1:${port}${path}${end}`))
      )
      return { status: all!.status, ready: ready!.status }
    },
    terminate: async () => {
      const closed = once(child, "close")
      const before = performance.now()
      child.kill("SIGTERM")
      const [code] = await ended
      const millis = performance.now() - before
      await closed
      return { code, millis }
    },
    dispose: () => {
      try {
        process.kill(-child.pid!, "SIGKILL")
      } catch {
        // No process is left.
      }
    }
  }
}

/** Waits until orders of all four kinds have an outcome, one by its third attempt and one as a dead letter. */
export const everyKind = async (program: Program): Promise<void> => {
  await Promise.all([
    program.line(({ attempt, card, message }) => message === "Order paid" && card === "valid" && attempt === "1"),
    program.line(({ attempt, card, message }) => message === "Order paid" && card === "flaky" && attempt === "3"),
    program.line(({ attempt, card, message }) => message === "Order paid" && card === "limited" && attempt === "2"),
    program.line(({ errorType, message }) => message === "Dead letter needs attention" && errorType === "CardDeclined")
  ])
}

/** Waits until an order that is not in the log yet waits three seconds for its retry. */
export const nextLongWait = (program: Program): Promise<LogLine> => {
  const seen = program.log.length
  return program.line(
    (line) =>
      program.log.indexOf(line) >= seen && line["message"] === "Handling failed; retrying" && line["delay"] === "3s"
  )
}

/** The last report of the consumer of orders: each partition's committed offset. */
export const committed = (program: Program): ReadonlyMap<string, number> => {
  const report = program.log.findLast(
    ({ groupId, message }) => message === "Consumer stopped" && groupId === "payments"
  )
  return new Map(
    (report?.["committed"] ?? "").split(" ").map((entry) => {
      const [partition, offset] = entry.split("@")
      return [partition!, Number(offset)]
    })
  )
}
