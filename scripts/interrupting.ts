/**
 * Interrupts an effect at each point at which its fiber can be interrupted.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Scheduler from "effect/Scheduler"

/** A fiber yields after this number of operations. */
const operationsPerTurn = 30

/**
 * Runs an effect after `before` operations without effect, and interrupts it after `turns` turns. Returns its exit, or
 * null.
 */
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

/** The point at which an effect that never ends by itself stays running when it is interrupted; `undefined` if none. */
export const survives = <A, E>(effect: Effect.Effect<A, E>): string | undefined => {
  for (let before = 0; before < operationsPerTurn; before++) {
    for (let turns = 0; turns < 8; turns++) {
      const exit = interrupted(effect, before, turns)
      if (exit === null || !Exit.isInterrupted(exit)) return `after ${before} operations and ${turns} turns`
    }
  }
  return undefined
}

/**
 * Effect 3.22's own sleep leaves its timer behind when its fiber yields just after it was set, and is interrupted there:
 * the leak check would see that.
 */
const clock: Clock.Clock = Object.assign(Clock.make(), {
  sleep: (duration: Duration.Duration) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.suspend(() => {
        let isOver = false
        let wake = (): void => {}
        const timer = setTimeout(() => {
          isOver = true
          wake()
        }, Duration.toMillis(duration))
        const over = Effect.async<void>((resume) => {
          wake = () => resume(Effect.void)
          if (isOver) wake()
        })
        return Effect.ensuring(
          restore(over),
          Effect.sync(() => clearTimeout(timer))
        )
      })
    )
})

/** Short turns make more points at which to interrupt. */
const operationsPerShortTurn = 13

/**
 * Runs an effect on the machine's clock and interrupts it before a turn of few operations. Returns its exit, or
 * `undefined` if it hasn't ended ten seconds later.
 */
export const interruptedAt = <A, E>(effect: Effect.Effect<A, E>, turn: number): Promise<Exit.Exit<A, E> | undefined> =>
  new Promise((resolve) => {
    const ready: Array<() => void> = []
    let isRunning = false
    let turns = 0
    const runReady = (): void => {
      for (let task = ready.shift(); task !== undefined; task = ready.shift()) {
        if (turns++ === turn) fiber.unsafeInterruptAsFork(FiberId.none)
        task()
      }
      isRunning = false
    }
    const scheduler = Scheduler.make(
      (task) => {
        ready.push(task)
        if (isRunning) return
        isRunning = true
        queueMicrotask(runReady)
      },
      (fiber) => (fiber.currentOpCount > operationsPerShortTurn ? 0 : false)
    )
    const fiber = Effect.runFork(Effect.withClock(effect, clock), { scheduler })
    const patience = setTimeout(() => resolve(undefined), 10_000)
    fiber.addObserver((exit) => {
      clearTimeout(patience)
      resolve(exit)
    })
  })
