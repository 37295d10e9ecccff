/**
 * The Markdown that holds code, and the sources it comes from.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const root = new URL("../../", import.meta.url)

/** The file's place on this machine; paths are given from the project's folder. */
export const locate = (path: string): string => fileURLToPath(new URL(path, root))

export const read = (path: string): string | undefined =>
  existsSync(locate(path)) ? readFileSync(locate(path), "utf8") : undefined

/** README.md and all of docs/. */
export const pages = (): ReadonlyArray<string> => [
  "README.md",
  ...readdirSync(locate("docs"))
    .filter((name) => name.endsWith(".md"))
    .sort()
    .map((name) => `docs/${name}`)
]
