/**
 * Wakes waiters when something changes.
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

/** Calls `ask` at every notification of one of the signals until it has an answer. Returns how to stop. */
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
    // `ask` may itself notify.
    const found = isOver ? undefined : ask()
    if (isOver || found === undefined) return
    stop()
    answer(found)
  }
  for (const { listeners } of signals) listeners.add(listener)
  return stop
}

/**
 * Calls `ask` now and at every notification of one of the signals. Completes with the first answer other than
 * undefined.
 */
export const until = <A>(signals: ReadonlyArray<Signal>, ask: () => A | undefined): Effect.Effect<A> =>
  Effect.async<A>((resume) => {
    const now = ask()
    if (now !== undefined) return resume(Effect.succeed(now))
    const stop = listen(signals, ask, (answer) => resume(Effect.succeed(answer)))
    return Effect.sync(stop)
  })
