/**
 * Wakes those who wait for something to change.
 */
import * as Effect from "effect/Effect"

export interface Signal {
  readonly listeners: Set<() => void>
}

export const make = (): Signal => ({ listeners: new Set() })

export const notify = (signal: Signal): void => {
  if (signal.listeners.size === 0) return
  for (const listener of [...signal.listeners]) listener()
}

/** Asks at every notification of one of the signals, until there is an answer; what it returns ends that. */
export const listen = <A>(
  signals: ReadonlyArray<Signal>,
  ask: () => A | undefined,
  answer: (answer: A) => void
): (() => void) => {
  let isOver = false
  const stop = () => {
    isOver = true
    for (const { listeners } of signals) listeners.delete(listener)
  }
  const listener = () => {
    // Asking may notify in its turn.
    const found = isOver ? undefined : ask()
    if (isOver || found === undefined) return
    stop()
    answer(found)
  }
  for (const { listeners } of signals) listeners.add(listener)
  return stop
}

/** Asks now and at every notification of one of the signals; ends with the first answer that isn't undefined. */
export const until = <A>(signals: ReadonlyArray<Signal>, ask: () => A | undefined): Effect.Effect<A> =>
  Effect.async<A>((resume) => {
    const now = ask()
    if (now !== undefined) return resume(Effect.succeed(now))
    const stop = listen(signals, ask, (answer) => resume(Effect.succeed(answer)))
    return Effect.sync(stop)
  })
