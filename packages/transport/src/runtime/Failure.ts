/**
 * The failure of an attempt, from its cause. For Spillway's own runtimes; unstable.
 */
import type * as Cause from "effect/Cause"
import type { HandlerFailure } from "../HandlerError.js"
import * as Causes from "../internal/causes.js"
import * as Undecodable from "../internal/undecodable.js"

/** The failure behind a cause: its first typed error, otherwise its first defect, otherwise the interruption. */
export const failureOf = (cause: Cause.Cause<unknown>, attempt: number): HandlerFailure => {
  const error = Causes.errorOf(cause)
  return Undecodable.isUndecodable(error)
    ? { stage: "decoding", error: error.error, cause: Undecodable.originalCauseOf(cause), attempt }
    : { stage: "handling", error, cause, attempt }
}
