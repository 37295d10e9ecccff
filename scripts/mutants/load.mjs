/**
 * Mutates sources that Node imports.
 */
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { apply, concerns } from "./mutation.mjs"

export const load = async (url, context, nextLoad) => {
  const loaded = await nextLoad(url, context)
  const [path] = url.split("?")
  if (!path.startsWith("file:") || !concerns(path)) return loaded
  return { ...loaded, source: apply(String(loaded.source ?? readFileSync(fileURLToPath(path)))) }
}
