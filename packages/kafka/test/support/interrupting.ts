/**
 * Interrupts an effect at each point at which its fibre may be.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Scheduler from "effect/Scheduler"

/** Fibres yield after so many operations. */
const operationsPerTurn = 30

/** Runs an effect after so many operations of no effect, and interrupts it after so many turns; how it ended, if it has. */
const interrupted = <A, E>(effect: Effect.Effect<A, E>, before: number, turns: number): Exit.Exit<A, E> | null => {
  const ready: Array<() => void> = []
  const scheduler = Scheduler.make(
    (task) => {
      ready.push(task)
    },
    (fiber) => (fiber.currentOpCount > operationsPerTurn ? 0 : false)
  )
  const late = Array.from({ length: before }).reduce<Effect.Effect<A, E>>(
    (inner) => Effect.suspend(() => inner),
    effect
  )
  const fiber = Effect.runFork(late, { scheduler })
  for (let i = 0; i < turns; i++) ready.shift()?.()
  fiber.unsafeInterruptAsFork(FiberId.none)
  for (let task = ready.shift(); task !== undefined; task = ready.shift()) task()
  return fiber.unsafePoll()
}

/** Where an effect that never ends by itself doesn't end though it is interrupted; `undefined`: nowhere. */
export const survives = <A, E>(effect: Effect.Effect<A, E>): string | undefined => {
  for (let before = 0; before < operationsPerTurn; before++) {
    for (let turns = 0; turns < 8; turns++) {
      const exit = interrupted(effect, before, turns)
      if (exit === null || !Exit.isInterrupted(exit)) return `after ${before} operations and ${turns} turns`
    }
  }
  return undefined
}
