import * as Context from "effect/Context"

/** The context of the consumer whose record the current fiber handles; `undefined` outside of handlers. */
export class Handling extends Context.Reference<Handling>()("@spillway/kafka/internal/Handling", {
  defaultValue: (): object | undefined => undefined
}) {}
