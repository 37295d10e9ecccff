/**
 * For runtimes: how to show what user code failed with. A failure can be of any value, whose getters throw, that is
 * cyclic, nested without end or of many megabytes; nothing here throws, and every text is short.
 */
import type * as Cause from "effect/Cause"
import * as RenderedCause from "./internal/renderedCause.js"

/** A cause as text, with its errors' stacks and causes: 10,000 characters at most. */
export const describe: (cause: Cause.Cause<unknown>) => string = RenderedCause.textOf

/** A cause that any logger or tracer can render: of errors that hold only their name, message, stack and cause. */
export const renderable: (cause: Cause.Cause<unknown>) => Cause.Cause<Error> = RenderedCause.make

/** An error to carry as the `cause` of another: the error itself where any logger can render it, else a stand-in. */
export const carried: (error: unknown) => unknown = RenderedCause.carried
