/**
 * Timers of a broker or a network, on Effect's Clock.
 */
import * as Monotonic from "@spillway/transport/runtime/Monotonic"
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Runtime from "effect/Runtime"

export interface Timers {
  /** Milliseconds of the monotonic clock. */
  readonly now: () => number
  /** Whole milliseconds since the epoch, for the timestamps of records. */
  readonly wallClock: () => number
  /** Calls back after `ms` milliseconds, unless the returned function is called before. */
  readonly after: (ms: number, ring: () => void) => () => void
  /** Cancels all timers. */
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
      // A clock may fire a zero delay at once, and nothing may fire before the caller has continued.
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
