/** `docs/logs.md` lists every line that the packages log. */
import * as Fs from "node:fs"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"

const root = fileURLToPath(new URL("../../..", import.meta.url))

const sources = (folder: string): ReadonlyArray<string> =>
  Fs.readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => Fs.readFileSync(Path.join(folder, name), "utf8"))

const levels = { logDebug: "Debug", logInfo: "Info", logWarning: "Warning", logError: "Error" } as const

const written = Fs.readdirSync(Path.join(root, "packages"))
  .flatMap((name) => sources(Path.join(root, "packages", name, "src")))
  .flatMap((source) => [
    ...Array.from(source.matchAll(/\b(logDebug|logInfo|logWarning|logError)\(\s*"([^"]+)"/g), ([, level, message]) => [
      levels[level as keyof typeof levels],
      message
    ]),
    ...Array.from(source.matchAll(/\b(?:kind|line|log)\(\s*LogLevel\.(\w+),\s*"([^"]+)"/g), ([, level, message]) => [
      level,
      message
    ])
  ])
  .map((line) => line.join(": "))

const documented = new Map(
  Array.from(
    Fs.readFileSync(Path.join(root, "docs/logs.md"), "utf8").matchAll(
      /^\| (Debug|Info|Warning|Error) \| ([^|]+?) \|/gm
    ),
    ([, level, message]) => [`${level}: ${message}`, message!]
  )
)

describe("docs/logs.md", () => {
  it("lists every log line of the sources, at its level", () => {
    assert.isAbove(written.length, 15)
    assert.deepStrictEqual(
      written.filter((line) => !documented.has(line)),
      []
    )
  })

  it("lists no line that the sources don't write", () => {
    const all = Fs.readdirSync(Path.join(root, "packages"))
      .flatMap((name) => sources(Path.join(root, "packages", name, "src")))
      .join("\n")
    assert.deepStrictEqual(
      Array.from(documented.values()).filter((message) => !all.includes(`"${message}"`)),
      []
    )
  })
})
