import * as Context from "effect/Context"

/** Whose record the present fibre handles: a consumer's context, or nothing outside of handlers. */
export class Handling extends Context.Reference<Handling>()("@spillway/kafka/internal/Handling", {
  defaultValue: (): object | undefined => undefined
}) {}
