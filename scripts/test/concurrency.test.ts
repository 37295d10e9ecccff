import { readdirSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { locate, read } from "../docs/files.js"

/** The functions of Effect 3.22 that never end when they are interrupted at the wrong operation. */
const lossy =
  /\bEffect\.(?:race\w*|timeout\w*|disconnect)\b|\bFiber\.joinAll\b|\bconcurren(?:cy|t): (?:"unbounded"|"inherit"|true|[2-9]|\d\d)/

const sources = readdirSync(locate("packages"))
  .map((name) => `packages/${name}/src`)
  .flatMap((folder) =>
    readdirSync(locate(folder), { recursive: true, encoding: "utf8" }).map((name) => `${folder}/${name}`)
  )
  .filter((path) => path.endsWith(".ts"))

/** The calls in a source, without those in comments. */
const uses = (path: string): ReadonlyArray<string> =>
  read(path)!
    .split("\n")
    .flatMap((line, index) => (lossy.test(line) && !/^\s*(?:\/?\*|\/\/)/.test(line) ? [`${path}:${index + 1}`] : []))

describe("the packages' sources", () => {
  it("call no function of Effect that can lose an interruption", () => {
    assert.isAbove(sources.length, 100)
    assert.deepStrictEqual(sources.flatMap(uses), [])
  })
})
