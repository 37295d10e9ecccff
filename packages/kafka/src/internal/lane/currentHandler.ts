import * as Context from "effect/Context"

/** The context of the consumer whose record the current fiber handles; `undefined` outside of handlers. */
export class CurrentHandler extends Context.Reference<CurrentHandler>()("@spillway/kafka/internal/CurrentHandler", {
  defaultValue: (): object | undefined => undefined
}) {}
