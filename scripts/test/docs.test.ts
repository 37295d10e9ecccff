import { existsSync } from "node:fs"
import { dirname, join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { locate, pages, read } from "../docs/files.js"
import * as Settings from "../docs/settings.js"
import { regionOf, render } from "../docs/snippets.js"

describe("The documentation", () => {
  for (const page of pages()) {
    it(`shows in ${page} only code that is compiled and run`, () => {
      const { problems, text } = render(read(page)!, read)
      assert.deepStrictEqual(problems, [])
      assert.strictEqual(text, read(page), "run npm run docs")
    })

    it(`has in ${page} only tables of options that are generated`, () => {
      assert.strictEqual(Settings.render(read(page)!), read(page), "run npm run docs")
    })

    it(`has no broken links in ${page}`, () => {
      const links = Array.from(read(page)!.matchAll(/\]\((?!https?:)([^)#]+)?(?:#([^)]+))?\)/g))
      for (const [, path, anchor] of links) {
        const target = path === undefined ? page : join(dirname(page), path)
        assert.isTrue(existsSync(locate(target)), target)
        if (anchor !== undefined) assert.include(anchorsOf(read(target)!), anchor, target)
      }
    })
  }
})

/** The anchors that GitHub gives to headings. */
const anchorsOf = (markdown: string): ReadonlyArray<string> =>
  Array.from(markdown.matchAll(/^#+ (.+)$/gm), ([, heading]) =>
    heading!
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, "")
      .replaceAll(" ", "-")
  )

describe("Code in Markdown", () => {
  const source = ["// #region one", "  const a = {", "    b: 1", "  }", "// #endregion", "// #region open"].join("\n")

  it("is a region of a source, without its indentation", () => {
    assert.strictEqual(regionOf(source, "one"), "const a = {\n  b: 1\n}")
    assert.isUndefined(regionOf(source, "open"))
    assert.isUndefined(regionOf(source, "two"))
  })

  it("is replaced by its source, and every block must have one", () => {
    const markdown = "a\n<!-- x.ts#one -->\n```ts\nold\n```\nb\n```ts\nc\n```\n<!-- x.ts#two -->\n```ts\nd\n```\n"
    assert.deepStrictEqual(
      render(markdown, (path) => (path === "x.ts" ? source : undefined)),
      {
        text: markdown.replace("old", "const a = {\n  b: 1\n}"),
        problems: [
          { _tag: "NoSource", line: 7 },
          { _tag: "NoRegion", line: 10, snippet: { path: "x.ts", region: "two" } }
        ]
      }
    )
  })
})
