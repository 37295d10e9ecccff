/**
 * Distinguishes a failure to decode a record from a failure of its handler.
 */
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Causes from "./causes.js"
import * as Render from "./render.js"

/** Wraps the decoder's error. */
export class Undecodable extends Data.TaggedError("Undecodable")<{ readonly error: unknown }> {}

export const isUndecodable = (error: unknown): error is Undecodable => Render.isInstance(error, Undecodable)

/** The cause without this module's wrapper. */
export const originalCauseOf = (cause: Cause.Cause<unknown>): Cause.Cause<unknown> => {
  const error = Causes.errorOf(cause)
  return isUndecodable(error) ? Cause.fail(error.error) : cause
}
