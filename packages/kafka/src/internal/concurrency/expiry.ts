/**
 * Timeouts of one length for many: what was added first is due first, so one fibre sleeps for all of them.
 */
import * as Effect from "effect/Effect"

/** The longest delay that timers hold, in milliseconds: a longer one never ends. */
const maxTimerMs = 2 ** 31 - 1

export interface Expiry<A> {
  /** From now on; a second time has no effect. */
  readonly add: (item: A, now: number) => void
  readonly delete: (item: A) => void
  /** Ends those that may end before their time, in their order. */
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

  /** Ends what is due, and says in how many milliseconds the next one is; 0: nothing is left. */
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

  // It holds no item while it sleeps: what is over is no longer to take memory.
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
