/**
 * Replaces a piece of one source file as it is imported; the file itself stays as it is.
 */
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const { file, replace, by } = JSON.parse(process.env.MUTATION)

export const load = async (url, context, nextLoad) => {
  const loaded = await nextLoad(url, context)
  const [path] = url.split("?")
  if (!path.startsWith("file:") || !path.endsWith(`/${file}`)) return loaded
  const source = String(loaded.source ?? readFileSync(fileURLToPath(path)))
  const parts = source.split(replace)
  if (parts.length !== 2) throw new Error(`${file} has ${parts.length - 1} times what is to be replaced: ${replace}`)
  return { ...loaded, source: parts.join(by) }
}
