/**
 * Installs the packed packages into a fresh folder by the README's own lines, and runs its first program there.
 */
import { execFile, spawn } from "node:child_process"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Esbuild from "esbuild"
import { read } from "../docs/files.js"
import { pack, packages } from "../packing.js"

const section = (title: string): string => read("README.md")!.split(`\n## ${title}\n`)[1]!.split("\n## ")[0]!

const codeOf = (text: string, language: string): string =>
  new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, "m").exec(text)![1]!

const run = (command: string, args: ReadonlyArray<string>, cwd: string) => promisify(execFile)(command, args, { cwd })

/** The README's first program with a broker in memory instead of a real one. */
const inMemory = (program: string): string =>
  program
    .replace(
      'import * as KafkaJsWire from "@spillway/kafka/KafkaJsWire"',
      'import * as MemoryBroker from "@spillway/memory/MemoryBroker"'
    )
    .replace("KafkaJsWire.layerConfig()", 'MemoryBroker.layer({ topics: { orders: 1, "orders-dlq": 1 } })')

/** Runs a program until its consumer has joined, then stops it; returns its output. */
const play = (args: ReadonlyArray<string>, cwd: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, {
      cwd,
      env: { ...process.env, PROMETHEUS_PORT: "0", NODE_OPTIONS: "" }
    })
    let output = ""
    let isStopped = false
    const take = (chunk: Buffer): void => {
      output += chunk.toString()
      // A second SIGTERM would end it at once.
      if (!isStopped && output.includes("Joined the group")) isStopped = child.kill("SIGTERM")
    }
    child.stdout.on("data", take)
    child.stderr.on("data", take)
    child.once("error", reject)
    child.once("close", () => resolve(output))
  })

describe("the packed packages in a fresh folder", () => {
  const root = mkdtempSync(join(tmpdir(), "spillway-install-"))
  const folder = join(root, "app")
  const tarballs = new Map<string, string>()
  const program = codeOf(section("A program"), "ts")

  /** An install line with tarballs in place of the registry's names. */
  const args = (line: string): ReadonlyArray<string> =>
    line
      .replace(/ #.*/, "")
      .trim()
      .split(/\s+/)
      .slice(1)
      .map((word) => tarballs.get(word) ?? word)
      .concat("--no-audit", "--no-fund", "--prefer-offline")

  beforeAll(async () => {
    mkdirSync(folder)
    for (const name of packages) tarballs.set(`@spillway/${name}`, await pack(name, root))
    writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }))
    const lines = codeOf(section("Install"), "sh").trim().split("\n")
    assert.isAbove(lines.length, 2)
    // Tarballs of packages that depend on one another are installed together: the registry doesn't have them.
    const all = lines.flatMap((line) => args(line).filter((word) => !word.startsWith("-") && word !== "install"))
    await run("npm", ["install", "--no-audit", "--no-fund", "--prefer-offline", ...all], folder)
    for (const line of lines) await run("npm", args(line), folder)
    writeFileSync(join(folder, "program.ts"), program)
    writeFileSync(join(folder, "memory.ts"), inMemory(program))
  }, 150_000)

  afterAll(() => rmSync(root, { recursive: true, force: true }))

  it("compile and run the README's first program", async () => {
    await run(
      "npx",
      ["tsc", "--noEmit", "--strict", "--module", "NodeNext", "--skipLibCheck", "program.ts", "memory.ts"],
      folder
    )
    const output = await play(["--import", "tsx", "memory.ts"], folder)
    assert.include(output, "Metrics served")
    assert.include(output, "Consumer stopped")
  }, 60_000)

  for (const format of ["esm", "cjs"] as const) {
    it(`run in a bundle without node_modules: ${format}`, async () => {
      const outfile = join(root, `bundle.${format === "esm" ? "mjs" : "cjs"}`)
      const require = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);"
      const { warnings } = await Esbuild.build({
        entryPoints: [join(folder, "memory.ts")],
        outfile,
        bundle: true,
        platform: "node",
        target: "node20",
        format,
        logLevel: "silent",
        ...(format === "esm" ? { banner: { js: require } } : {})
      })
      assert.deepStrictEqual(
        warnings.filter(({ id }) => id !== "empty-import-meta").map(({ text }) => text),
        []
      )
      assert.include(await play([outfile], root), "Consumer stopped")
    }, 60_000)
  }

  it("run without optional packages", async () => {
    await run("npm", ["prune", "--omit=optional", "--include=dev", "--no-audit", "--no-fund"], folder)
    const installed = JSON.parse(readFileSync(join(folder, "node_modules/.package-lock.json"), "utf8")).packages
    for (const name of ["@node-rs/crc32", "snappy", "lz4-napi"]) assert.notProperty(installed, `node_modules/${name}`)
    assert.include(await play(["--import", "tsx", "memory.ts"], folder).catch(String), "Consumer stopped")
  }, 60_000)

  it("are refused by npm beside Effect 4", async () => {
    const other = join(root, "effect-4")
    mkdirSync(other)
    writeFileSync(join(other, "package.json"), JSON.stringify({ private: true, dependencies: { effect: "4" } }))
    const tarball = tarballs.get("@spillway/transport")!
    try {
      await run("npm", ["install", "--no-audit", "--no-fund", "--prefer-offline", tarball], other)
    } catch (error) {
      const text = String((error as { readonly stderr: unknown }).stderr)
      assert.match(text, /ERESOLVE/)
      assert.match(text, /effect@"\^3\.22\.\d+"/)
      return
    }
    assert.fail("npm installed Spillway beside Effect 4")
  }, 60_000)
})
