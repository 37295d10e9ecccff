/**
 * Background effects, one at a time per key. They end with a scope.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import type * as Scope from "effect/Scope"

export interface Tasks<K> {
  readonly isRunning: (key: K) => boolean
  /** Runs an effect, unless the key already has one running. */
  readonly start: (key: K, effect: Effect.Effect<void>) => Effect.Effect<void>
  /** Interrupts the key's effect without waiting for its end; another may start at once. */
  readonly stop: (key: K) => void
  /** Interrupts all effects and waits for their end. */
  readonly stopAll: Effect.Effect<void>
}

/** `onEnd` is called when an effect has ended. */
export const make = <K>(onEnd: () => void): Effect.Effect<Tasks<K>, never, Scope.Scope> =>
  Effect.map(Effect.scope, (scope) => {
    const running = new Map<K, Fiber.RuntimeFiber<void>>()
    return {
      isRunning: (key) => running.has(key),
      start: (key, effect) =>
        Effect.suspend(() =>
          running.has(key)
            ? Effect.void
            : Effect.map(Effect.forkIn(Effect.interruptible(effect), scope), (fiber) => {
                running.set(key, fiber)
                fiber.addObserver(() => {
                  if (running.get(key) === fiber) running.delete(key)
                  onEnd()
                })
              })
        ).pipe(Effect.uninterruptible),
      stop: (key) => {
        const fiber = running.get(key)
        running.delete(key)
        fiber?.unsafeInterruptAsFork(FiberId.none)
      },
      stopAll: Effect.suspend(() => Fiber.interruptAll(Array.from(running.values())))
    }
  })
