/**
 * Wakes those who wait for something to change.
 */
import * as Effect from "effect/Effect"

export interface Signal {
  readonly listeners: Set<() => void>
}

export const make = (): Signal => ({ listeners: new Set() })

export const notify = (signal: Signal): void => {
  for (const listener of [...signal.listeners]) listener()
}

/** Asks now and at every notification of one of the signals; ends with the first answer that isn't undefined. */
export const until = <A>(signals: ReadonlyArray<Signal>, ask: () => A | undefined): Effect.Effect<A> =>
  Effect.async<A>((resume) => {
    const now = ask()
    if (now !== undefined) return resume(Effect.succeed(now))
    const stop = () => {
      for (const { listeners } of signals) listeners.delete(listen)
    }
    const listen = () => {
      const answer = ask()
      if (answer === undefined) return
      stop()
      resume(Effect.succeed(answer))
    }
    for (const { listeners } of signals) listeners.add(listen)
    return Effect.sync(stop)
  })
