/**
 * Renders failures of user code. A failure can be any value: its getters may throw, it may be cyclic, endlessly nested
 * or many megabytes large. Nothing here throws, and every text is short. For Spillway's own runtimes; unstable.
 */
import type * as Cause from "effect/Cause"
import * as RenderedCause from "../internal/renderedCause.js"

/** A cause as text, with its errors' stacks and causes: at most 10,000 characters. */
export const describe: (cause: Cause.Cause<unknown>) => string = RenderedCause.textOf

/** A cause that any logger or tracer can render: its errors hold only a name, message, stack and cause. */
export const renderable: (cause: Cause.Cause<unknown>) => Cause.Cause<Error> = RenderedCause.make

/** An error to use as the `cause` of another: the error itself if any logger can render it, otherwise a stand-in. */
export const carried: (error: unknown) => unknown = RenderedCause.carried
