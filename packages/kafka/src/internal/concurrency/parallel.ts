/**
 * Many effects at once. Effect 3.22's concurrent `forEach` never ends if its fiber is interrupted after a yield just
 * before the first of them starts.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"

/** Runs an effect for each item, all at once; the first failure, in order, ends the others. */
export const forEach = <A, B, E, R>(
  items: ReadonlyArray<A>,
  run: (item: A) => Effect.Effect<B, E, R>
): Effect.Effect<Array<B>, E, Exclude<R, Scope.Scope>> =>
  Effect.scoped(
    Effect.flatMap(
      Effect.forEach(items, (item) => Effect.forkScoped(run(item))),
      (fibers) => Effect.forEach(fibers, Fiber.join)
    )
  )
