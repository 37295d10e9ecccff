/**
 * Support for tests on a real Prometheus, with the programs `prometheus` and `promtool` of Debian's package
 * `prometheus`.
 */
import { spawn, spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { announceMissing } from "../../scripts/announceMissing.js"
import { describeUnless } from "../../scripts/testing.js"

const missing = ["prometheus", "promtool"].filter((tool) => spawnSync(tool, ["--version"]).status !== 0)

/** `describe`, skipped with a message in capitals when Prometheus isn't installed; under `CI=true` it fails instead. */
export const describePrometheus = (name: string, define: () => void): void => {
  const reason =
    missing.length === 0 ? undefined : `${missing.join(" and ")} not installed (Debian's package prometheus)`
  if (reason !== undefined) announceMissing("Prometheus", reason)
  describeUnless(reason, name, define)
}

export interface Ran {
  readonly code: number | null
  readonly output: string
}

/** Runs promtool until it exits. */
export const promtool = (args: ReadonlyArray<string>, input?: string): Ran => {
  const { status, stderr, stdout } = spawnSync("promtool", args, { encoding: "utf8", input })
  return { code: status, output: `${stdout}${stderr}` }
}

const freePort = Effect.async<number>((resume) => {
  const server = createServer()
  server.listen(0, "127.0.0.1", () => {
    const address = server.address()
    server.close(() => resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0)))
  })
})

export interface Prometheus {
  /** Queries a path of the HTTP API, `/api/v1/...`, once Prometheus serves it. */
  readonly api: <A>(path: string, parameters?: Readonly<Record<string, string>>) => Effect.Effect<A, Error>
}

type ApiAnswer =
  | { readonly status: "success"; readonly data: unknown }
  | { readonly status: "error"; readonly error: string }

/**
 * A Prometheus that scrapes the jobs (name to `host:port`) and evaluates the rules five times a second, until the scope
 * closes.
 */
export const make = Effect.fnUntraced(function* (options: {
  readonly jobs: Readonly<Record<string, string>>
  readonly rules: string
}): Effect.fn.Return<Prometheus, never, Scope.Scope> {
  const directory = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "spillway-prometheus-"))),
    (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
  )
  const config = {
    global: { scrape_interval: "500ms", scrape_timeout: "500ms", evaluation_interval: "200ms" },
    rule_files: ["rules.yaml"],
    scrape_configs: Object.entries(options.jobs).map(([job_name, target]) => ({
      job_name,
      static_configs: [{ targets: [target] }]
    }))
  }
  writeFileSync(join(directory, "rules.yaml"), options.rules)
  writeFileSync(join(directory, "prometheus.yaml"), JSON.stringify(config))
  const listen = `127.0.0.1:${yield* freePort}`
  yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(
        "prometheus",
        [
          `--config.file=${join(directory, "prometheus.yaml")}`,
          `--storage.tsdb.path=${join(directory, "data")}`,
          `--web.listen-address=${listen}`
        ],
        { stdio: "ignore" }
      )
    ),
    (child) =>
      Effect.async<void>((resume) => {
        if (child.exitCode !== null) return resume(Effect.void)
        child.once("close", () => resume(Effect.void))
        child.kill("SIGKILL")
      })
  )
  const api: Prometheus["api"] = (path, parameters = {}) =>
    Effect.tryPromise({
      try: async () => {
        const response = await fetch(`http://${listen}${path}?${new URLSearchParams(parameters)}`)
        const answer = (await response.json()) as ApiAnswer
        if (answer.status !== "success") throw new Error(`${path} ${JSON.stringify(parameters)}: ${answer.error}`)
        return answer.data as never
      },
      catch: (error) => (error instanceof Error ? error : new Error(String(error)))
    })
  yield* Effect.retry(api("/api/v1/status/runtimeinfo"), Schedule.spaced("100 millis")).pipe(
    Effect.timeout("30 seconds"),
    Effect.orDie
  )
  return { api }
})
