/**
 * The Markdown files that show code, and the sources of the code.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const root = new URL("../../", import.meta.url)

/** The file's path on this machine. Paths are relative to the project's folder. */
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
