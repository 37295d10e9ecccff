/**
 * A wire whose addresses lead to one cluster now and to another one later.
 */
import type { Role, Wire } from "@spillway/kafka/Wire"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"

export interface Switchable {
  readonly wire: Wire["Type"]
  /** New connections lead to the target; connections of the given roles, or else all, are closed. */
  readonly leadTo: (target: Wire["Type"], roles?: ReadonlyArray<Role>) => Effect.Effect<void>
}

export const make = (first: Wire["Type"]): Switchable => {
  let target = first
  const open = new Map<Scope.CloseableScope, Role>()
  return {
    wire: {
      bootstrap: first.bootstrap,
      connect: (endpoint, role) =>
        Effect.gen(function* () {
          const scope = yield* Effect.acquireRelease(Scope.make(), (scope, exit) =>
            Effect.zipRight(
              Effect.sync(() => open.delete(scope)),
              Scope.close(scope, exit)
            )
          )
          open.set(scope, role)
          return yield* Scope.extend(target.connect(endpoint, role), scope)
        })
    },
    leadTo: (to, roles) =>
      Effect.suspend(() => {
        target = to
        const closing = [...open].filter(([, role]) => roles === undefined || roles.includes(role))
        return Effect.forEach(closing, ([scope]) => Scope.close(scope, Exit.void), { discard: true })
      })
  }
}
