import type * as ParseResult from "effect/ParseResult"

/**
 * Where and why a value doesn't match its schema, by the first issue found: path and expectation only, since the
 * actual value may be nobody's business in a log or a dead letter header.
 */
export const describe = (issue: ParseResult.ParseIssue, path = ""): string => {
  switch (issue._tag) {
    case "Pointer":
      return describe(issue.issue, path + toPath(issue.path))
    case "Composite":
      return describe(first(issue.issues), path)
    case "Transformation":
      return issue.kind === "Transformation" ? `${at(path)}: expected ${issue.ast}` : describe(issue.issue, path)
    case "Refinement":
      return issue.kind === "From" ? describe(issue.issue, path) : `${at(path)}: expected ${issue.ast}`
    case "Type":
      return `${at(path)}: expected ${issue.ast}`
    case "Missing":
      return `${at(path)}: missing`
    case "Unexpected":
      return `${at(path)}: unexpected`
    case "Forbidden":
      return `${at(path)}: forbidden`
  }
}

const first = (issues: ParseResult.Composite["issues"]): ParseResult.ParseIssue =>
  "_tag" in issues ? issues : issues[0]

const at = (path: string): string => (path === "" ? "value" : path)

const toPath = (path: ParseResult.Path): string =>
  (Array.isArray(path) ? path : [path]).map((key) => `[${JSON.stringify(String(key))}]`).join("")
