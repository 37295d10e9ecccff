import type * as ParseResult from "effect/ParseResult"
import * as Render from "./render.js"
import { truncate } from "./truncate.js"

/** The maximum length of a path, of a key in it, and of an expectation. */
const maxPath = 512
const maxKey = 100
const maxExpected = 512

/**
 * Where and why a value doesn't match its schema, from the first issue: path and expectation only, since the actual
 * value may be private, and logs and dead letter headers are not. Issues nest as deep as the value.
 */
export const describe = (found: ParseResult.ParseIssue): string => {
  let issue = found
  let path = ""
  while (true) {
    switch (issue._tag) {
      case "Pointer":
        path = extend(path, issue.path)
        issue = issue.issue
        break
      case "Composite":
        issue = first(issue.issues)
        break
      case "Transformation":
        if (issue.kind === "Transformation") return expected(path, issue.ast)
        issue = issue.issue
        break
      case "Refinement":
        if (issue.kind !== "From") return expected(path, issue.ast)
        issue = issue.issue
        break
      case "Type":
        return expected(path, issue.ast)
      case "Missing":
        return `${at(path)}: missing`
      case "Unexpected":
        return `${at(path)}: unexpected`
      case "Forbidden":
        return `${at(path)}: forbidden`
    }
  }
}

/** Describes an exception thrown by a schema. The exception's own message may contain the value. */
export const describeThrown = (thrown: unknown): string =>
  Render.isInstance(thrown, RangeError) && Render.messageOf(thrown).includes("call stack")
    ? "value: nested too deeply"
    : `value: the schema threw ${Render.typeOf(thrown)}`

const first = (issues: ParseResult.Composite["issues"]): ParseResult.ParseIssue =>
  "_tag" in issues ? issues : issues[0]

const at = (path: string): string => (path === "" ? "value" : path)

const expected = (path: string, ast: ParseResult.Type["ast"]): string =>
  `${at(path)}: expected ${truncate(String(ast), maxExpected)}`

const extend = (path: string, more: ParseResult.Path): string => {
  if (path.length > maxPath) return path
  const keys = (Array.isArray(more) ? more : [more]).map((key) => `[${JSON.stringify(truncate(String(key), maxKey))}]`)
  const extended = path + keys.join("")
  return extended.length > maxPath ? `${truncate(extended, maxPath)}…` : extended
}
