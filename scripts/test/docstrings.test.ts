/**
 * Every export of the public modules, and every member of their types, has a docstring.
 */
import { readdirSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import * as ts from "typescript"
import { survey } from "../docs/docstrings.js"
import { locate } from "../docs/files.js"

const packages = ["transport", "kafka", "memory", "observability"]

const modulesOf = (name: string): ReadonlyArray<string> =>
  readdirSync(locate(`packages/${name}/src`), { recursive: true, encoding: "utf8" })
    .filter((file) => /^(runtime\/)?\w+\.ts$/.test(file) && file !== "index.ts")
    .map((file) => locate(`packages/${name}/src/${file}`))

const example = locate("packages/transport/src/Example.ts")

const exampleText = `
import * as Context from "effect/Context"
import * as Data from "effect/Data"

/** Has a docstring. */
export interface Described {
  /** Has one, too. */
  readonly a: string
  readonly b: string
}

export interface Bare extends Described {
  /** */
  readonly c: string
}

/** Has a docstring. */
export type Choice =
  | {
      readonly _tag: "A"
      readonly a: string
    }
  /** Describes its members. */
  | { readonly _tag: "B"; readonly b: string }

/** Has a docstring. */
export class Failure extends Data.TaggedError("Failure")<{ readonly reason: string }> {
  override get message(): string {
    return this.reason
  }
}

/** Has a docstring. */
export class Service extends Context.Tag("Service")<
  Service,
  {
    /** Has one, too. */
    readonly start: () => void
    readonly stop: () => void
  }
>() {}

/** Has a docstring. */
export class Setting extends Context.Reference<Setting>()("Setting", {
  defaultValue: (): { readonly on: boolean } => ({ on: true })
}) {}

/** Has a docstring. */
export function overloaded(a: string): string
export function overloaded(a: number): number
export function overloaded(a: unknown): unknown {
  return a
}

export const value = 1

/** Has a docstring. */
export const documented = 1
`

const program = (() => {
  const options: ts.CompilerOptions = {
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    customConditions: ["@spillway/source"],
    types: ["node"]
  }
  const host = ts.createCompilerHost(options)
  const { fileExists, getSourceFile, readFile } = host
  host.fileExists = (name) => name === example || fileExists(name)
  host.readFile = (name) => (name === example ? exampleText : readFile(name))
  host.getSourceFile = (name, target) =>
    name === example ? ts.createSourceFile(name, exampleText, target) : getSourceFile(name, target)
  return ts.createProgram([example, ...packages.flatMap(modulesOf)], options, host)
})()

const isOwn = (file: string): boolean => file.startsWith(locate("packages/")) && !file.includes("/node_modules/")

describe("Docstrings", () => {
  it("are missed in every kind of declaration", () => {
    const { undocumentedExports, undocumentedMembers } = survey(program, example, isOwn)
    assert.deepStrictEqual(undocumentedExports, ["Example.Bare", "Example.overloaded", "Example.value"])
    assert.deepStrictEqual(undocumentedMembers, [
      "Example.Bare.c",
      "Example.Choice.a",
      "Example.Described.b",
      "Example.Failure.reason",
      "Example.Service.stop",
      "Example.Setting.on"
    ])
  })

  for (const name of packages) {
    it(`describe every export and every member of ${name}`, () => {
      const missing = modulesOf(name).flatMap((file) => {
        const { undocumentedExports, undocumentedMembers } = survey(program, file, isOwn)
        return [...undocumentedExports, ...undocumentedMembers]
      })
      assert.deepStrictEqual(missing, [], `without a docstring: ${missing.join(", ")}`)
    })
  }
})
