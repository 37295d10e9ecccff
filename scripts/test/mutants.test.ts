import { assert, describe, it } from "@effect/vitest"
import { read } from "../docs/files.js"
import { mutants } from "../mutants/mutants.js"

describe("scripts/mutants", () => {
  it("replaces a text that occurs once in its file", () => {
    for (const { file, name, replace } of mutants) assert.lengthOf(read(file)!.split(replace), 2, name)
  })

  it("names test files that exist", () => {
    for (const { heldBy, name } of mutants) for (const file of heldBy ?? []) assert.isDefined(read(file), name)
  })
})
