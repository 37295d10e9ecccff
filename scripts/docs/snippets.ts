/**
 * Code in Markdown that is taken from sources which are compiled and run: a `ts` block names its source in the line
 * before it, `<!-- path#region -->`, and holds what stands there between `// #region name` and `// #endregion`.
 */

export interface Snippet {
  readonly path: string
  readonly region: string
}

export type SnippetProblem =
  | { readonly _tag: "NoSource"; readonly line: number }
  | { readonly _tag: "NoRegion"; readonly line: number; readonly snippet: Snippet }

export interface Rendered {
  readonly text: string
  readonly problems: ReadonlyArray<SnippetProblem>
}

const block = /(?:^<!-- (\S+)#(\S+) -->\n)?^```ts\n[\s\S]*?^```$/gm

/** The lines of a region, without their common indentation. */
export const regionOf = (source: string, name: string): string | undefined => {
  const lines = source.split("\n")
  const start = lines.findIndex((line) => line.trim() === `// #region ${name}`)
  const length = lines.slice(start + 1).findIndex((line) => line.trim() === "// #endregion")
  if (start === -1 || length === -1) return undefined
  const region = lines.slice(start + 1, start + 1 + length)
  const indentation = Math.min(
    ...region.filter((line) => line.trim() !== "").map((line) => line.length - line.trimStart().length)
  )
  return region.map((line) => line.slice(indentation)).join("\n")
}

/** The Markdown with each block replaced by its source. Blocks whose source can't be found stay as they are. */
export const render = (markdown: string, read: (path: string) => string | undefined): Rendered => {
  const problems: Array<SnippetProblem> = []
  const text = markdown.replaceAll(block, (found: string, path: string | undefined, region: string | undefined, at) => {
    const line = markdown.slice(0, at).split("\n").length
    if (path === undefined || region === undefined) {
      problems.push({ _tag: "NoSource", line })
      return found
    }
    const code = regionOf(read(path) ?? "", region)
    if (code === undefined) {
      problems.push({ _tag: "NoRegion", line, snippet: { path, region } })
      return found
    }
    return `<!-- ${path}#${region} -->\n\`\`\`ts\n${code}\n\`\`\``
  })
  return { text, problems }
}
