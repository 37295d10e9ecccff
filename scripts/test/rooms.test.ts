/**
 * Checks the structure that ARCHITECTURE describes: imports between the rooms of `packages/kafka/src/internal` point
 * one way, and no files import each other in a circle.
 */
import { readdirSync } from "node:fs"
import { dirname, join, normalize } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { locate, read } from "../docs/files.js"

type Graph = ReadonlyMap<string, ReadonlySet<string>>

const sources: ReadonlyArray<string> = ["transport", "kafka", "memory", "observability"].flatMap((name) => {
  const root = `packages/${name}/src`
  return readdirSync(locate(root), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts"))
    .map((path) => join(root, path))
})

const resolve = (from: string, specifier: string): string => {
  const [, name, path = "index"] = /^@spillway\/([\w-]+)(?:\/(.*))?$/.exec(specifier) ?? []
  if (name !== undefined) return `packages/${name}/src/${path}.ts`
  return normalize(join(dirname(from), specifier)).replace(/\.js$/, ".ts")
}

const files: Graph = new Map(
  sources.map((file) => {
    const specifiers = Array.from(
      read(file)!.matchAll(/(?:from|import\() ?"([.@][^"]+)"/g),
      ([, specifier]) => specifier!
    )
    return [file, new Set(specifiers.map((specifier) => resolve(file, specifier)).filter((to) => sources.includes(to)))]
  })
)

const internal = "packages/kafka/src/internal/"

const roomOf = (file: string): string => file.slice(internal.length).split("/")[0]!

const rooms: Graph = (() => {
  const graph = new Map<string, Set<string>>()
  for (const [file, imported] of files) {
    if (!file.startsWith(internal)) continue
    const from = graph.get(roomOf(file)) ?? new Set()
    graph.set(roomOf(file), from)
    for (const to of imported) if (to.startsWith(internal) && roomOf(to) !== roomOf(file)) from.add(roomOf(to))
  }
  return graph
})()

/** One path from a node back to itself for each circle found, depth first. */
const circles = (graph: Graph): ReadonlyArray<string> => {
  const done = new Set<string>()
  const path: Array<string> = []
  const found: Array<string> = []
  const visit = (node: string): void => {
    const at = path.indexOf(node)
    if (at >= 0) found.push([...path.slice(at), node].join(" -> "))
    if (at >= 0 || done.has(node)) return
    path.push(node)
    for (const next of graph.get(node) ?? []) visit(next)
    path.pop()
    done.add(node)
  }
  for (const node of graph.keys()) visit(node)
  return found
}

describe("rooms", () => {
  it("reads the sources", () => {
    assert.isAbove(files.size, 200)
    assert.isAbove(rooms.size, 10)
    assert.deepStrictEqual(
      circles(
        new Map([
          ["a", new Set(["b"])],
          ["b", new Set(["a"])]
        ])
      ),
      ["a -> b -> a"]
    )
  })

  it("import each other one way", () => {
    assert.deepStrictEqual(circles(rooms), [])
  })

  it("have no files that import each other in a circle", () => {
    assert.deepStrictEqual(circles(files), [])
  })
})
