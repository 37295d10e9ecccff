/**
 * Timeouts of equal length for many items. The item added first is due first, so one fiber sleeps for all of them.
 */
import * as Effect from "effect/Effect"

/** The longest delay that Node's timers support, in milliseconds. */
const maxTimerMs = 2 ** 31 - 1

export interface Expiry<A> {
  /** Starts the item's timeout; adding it again has no effect. */
  readonly add: (item: A, now: number) => void
  readonly delete: (item: A) => void
  /** Ends the timeouts of matching items early, in order. */
  readonly release: (mayEnd: (item: A) => boolean, onEach: (item: A) => void) => void
}

export interface Options<A> {
  readonly delayMs: number
  readonly run: (effect: Effect.Effect<void>) => void
  /** Milliseconds of the monotonic clock. */
  readonly now: () => number
  readonly onDue: (item: A) => void
}

export const make = <A>({ delayMs, now, onDue, run }: Options<A>): Expiry<A> => {
  const dueAt = new Map<A, number>()
  let watching = false

  /** Ends the items that are due; returns in how many milliseconds the next one is due, or 0 if none is left. */
  const sweep = (): number => {
    for (const [item, due] of dueAt) {
      const left = due - now()
      if (left > 0) return Math.min(Math.ceil(left), maxTimerMs)
      dueAt.delete(item)
      onDue(item)
    }
    watching = false
    return 0
  }

  // Holds no item while it sleeps, so that finished items can be collected.
  const watch: Effect.Effect<void> = Effect.suspend(() => {
    const left = sweep()
    return left === 0 ? Effect.void : Effect.zipRight(Effect.sleep(left), watch)
  })

  return {
    add: (item, at) => {
      if (dueAt.has(item)) return
      dueAt.set(item, at + delayMs)
      if (watching) return
      watching = true
      run(watch)
    },
    delete: (item) => {
      dueAt.delete(item)
    },
    release: (mayEnd, onEach) => {
      for (const item of dueAt.keys()) {
        if (!mayEnd(item)) continue
        dueAt.delete(item)
        onEach(item)
      }
    }
  }
}
