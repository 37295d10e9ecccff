/** Failures of user code are rendered in one place, which never throws. */
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { locate, read } from "../docs/files.js"

const sources = ["transport", "kafka", "memory", "observability"].flatMap((name) => {
  const root = `packages/${name}/src`
  return readdirSync(locate(root), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts"))
    .map((path) => join(root, path))
})

const filesWith = (pattern: RegExp): ReadonlyArray<string> => sources.filter((path) => pattern.test(read(path)!))

describe("Failures", () => {
  it("are rendered by renderedCause alone", () => {
    assert.deepStrictEqual(filesWith(/\bCause\.pretty(?:Errors)?\(/), [
      "packages/transport/src/internal/renderedCause.ts"
    ])
  })

  it("are given to loggers by Logging alone", () => {
    const withCause =
      /Effect\.log(?:Trace|Debug|Info|Warning|Error|Fatal|WithLevel)?\(\s*(?:"[^"]*"|[\w.]+)\s*,(?!\s*\))/
    assert.deepStrictEqual(filesWith(withCause), ["packages/transport/src/runtime/Logging.ts"])
  })

  it("have their stacks and JSON read by the renderer alone", () => {
    assert.deepStrictEqual(filesWith(/\berror\.stack\b|JSON\.stringify\((?:error|cause|defect|this\.value)\b/), [])
  })
})
