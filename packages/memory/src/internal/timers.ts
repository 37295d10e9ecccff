/**
 * What a broker or a network does later, by Effect's Clock.
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Runtime from "effect/Runtime"
import * as Monotonic from "./monotonic.js"

export interface Timers {
  /** Milliseconds of the monotonic clock. */
  readonly now: () => number
  /** Whole milliseconds since the epoch, for the timestamps of records. */
  readonly wallClock: () => number
  /** Calls back after so many milliseconds, unless what it returns is called before. */
  readonly after: (ms: number, ring: () => void) => () => void
  /** Nothing rings any more. */
  readonly stop: () => void
}

export const make = (clock: Clock.Clock, runtime: Runtime.Runtime<never>): Timers => {
  const fork = Runtime.runFork(runtime)
  const waiting = new Set<Fiber.RuntimeFiber<void>>()
  let isStopped = false

  const cancel = (fiber: Fiber.RuntimeFiber<void>): void => {
    if (waiting.delete(fiber)) fiber.unsafeInterruptAsFork(FiberId.none)
  }

  return {
    now: () => Monotonic.millis(clock),
    wallClock: () => Math.floor(clock.unsafeCurrentTimeMillis()),
    after: (ms, ring) => {
      if (isStopped) return () => {}
      const wait = Effect.map(clock.sleep(Duration.millis(Math.max(0, ms))), () => {
        waiting.delete(fiber)
        ring()
      })
      // A clock may let no time pass at once, and nothing is to ring before who sets it has gone on.
      const fiber = fork(wait, { immediate: ms > 0 })
      waiting.add(fiber)
      return () => cancel(fiber)
    },
    stop: () => {
      isStopped = true
      waiting.forEach(cancel)
    }
  }
}
