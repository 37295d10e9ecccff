/**
 * Validates with a Standard Schema (version 1, https://standardschema.dev).
 */
import type { StandardSchemaV1 } from "@standard-schema/spec"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as ParseIssue from "./parseIssue.js"

/** The limit of characters of a description. */
const maxLength = 1_000

const pathOf = ({ path }: StandardSchemaV1.Issue): string =>
  (path ?? [])
    .map((segment) => {
      const key = typeof segment === "object" ? segment.key : segment
      return `[${typeof key === "symbol" ? String(key) : JSON.stringify(key)}]`
    })
    .join("")

/** The places that don't match. A schema's own messages may quote the value, so they are left out. */
const describe = (issues: ReadonlyArray<StandardSchemaV1.Issue>): string => {
  const [first] = issues
  const place = first === undefined ? "" : pathOf(first)
  const more = issues.length > 1 ? ` and ${issues.length - 1} more` : ""
  return `${place === "" ? "value" : place}: doesn't match${more}`.slice(0, maxLength)
}

/** A schema that throws counts as a mismatch. */
export const validate = <I, O, E>(
  schema: StandardSchemaV1<I, O>,
  value: unknown,
  error: (description: string) => E
): Effect.Effect<O, E> => {
  const exitOf = (result: StandardSchemaV1.Result<O>): Exit.Exit<O, E> =>
    result.issues === undefined ? Exit.succeed(result.value) : Exit.fail(error(describe(result.issues)))
  const thrown = (cause: unknown): Exit.Exit<O, E> => Exit.fail(error(ParseIssue.describeThrown(cause)))
  try {
    const result = schema["~standard"].validate(value)
    return result instanceof Promise
      ? Effect.flatten(Effect.promise(() => result.then(exitOf, thrown)))
      : exitOf(result)
  } catch (cause) {
    return thrown(cause)
  }
}
