import { existsSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { locate, read } from "../docs/files.js"

const page = read("docs/feature-map.md")!

const rows = page.split("\n").filter((line) => /^\| (?!-|.* \| shown by \|$)/.test(line) && !line.startsWith("|---"))

const paths = (text: string): ReadonlyArray<string> =>
  Array.from(text.matchAll(/`([\w.-]+(?:\/[\w.-]+)+\.\w+)`/g), ([, path]) => path!)

describe("docs/feature-map.md", () => {
  it("names only files that exist", () => {
    const named = paths(page)
    assert.isAbove(named.length, 100)
    assert.deepStrictEqual(
      named.filter((path) => !existsSync(locate(path))),
      []
    )
  })

  it("names a test for each row", () => {
    assert.isAbove(rows.length, 40)
    const isTest = (path: string) => /\.test\.(?:ts|yaml)$/.test(path)
    assert.deepStrictEqual(
      rows.filter((row) => !paths(row.split(" | ").at(-1)!).some(isTest)),
      []
    )
  })
})
