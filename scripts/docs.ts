/**
 * `npm run docs` copies the code of the guide's sources into the Markdown that shows it, and writes its tables of options.
 */
import { writeFileSync } from "node:fs"
import { locate, pages, read } from "./docs/files.js"
import * as Settings from "./docs/settings.js"
import * as Snippets from "./docs/snippets.js"

for (const page of pages()) {
  const before = read(page)!
  const { problems, text: shown } = Snippets.render(before, read)
  const text = Settings.render(shown)
  for (const problem of problems) console.error(`${page}:${problem.line}: ${JSON.stringify(problem)}`)
  if (problems.length > 0) process.exitCode = 1
  if (text === before) continue
  writeFileSync(locate(page), text)
  console.log(`${page} written`)
}
