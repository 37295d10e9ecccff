/**
 * What a broker does for tests under `TestClock`: it makes the clock's steps cheap, and keeps a test that waits for a
 * rebalance from waiting forever.
 */
import * as Monotonic from "@spillway/transport/runtime/Monotonic"
import * as Chunk from "effect/Chunk"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import type * as TestClock from "effect/TestClock"

export const isTestClock = (clock: Clock.Clock): clock is TestClock.TestClock =>
  "adjust" in clock && "setTime" in clock && "sleeps" in clock

const nextTurn = Effect.async<void>((resume) => {
  const immediate = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(immediate))
})

/**
 * Before each sleep that it ends, a TestClock yields three times by `setTimeout(0)`, which Node rounds up to 1 ms. An
 * idle consumer makes 200 steps a minute. `setImmediate` yields to the event loop as well, in microseconds.
 */
export const quicken = (clock: Clock.Clock): void => {
  if (isTestClock(clock) && "yieldTimer" in clock) clock.yieldTimer = nextTurn
}

/** A test that does nothing for this long, in real time, while a member waits for a rebalance will not end by itself. */
const idleTicks = 10
const tickMs = 50

export interface Standstill {
  /** A member waits for its group to rebalance. Returns how to end the wait. */
  readonly waiting: () => () => void
  /** The broker was asked something. */
  readonly asked: () => void
}

const never: Standstill = { waiting: () => () => {}, asked: () => {} }

/**
 * A member that joins a group waits for the others' next heartbeats. `KafkaConsumer.make` in a test's only fiber would
 * wait forever: no code is left that advances the TestClock. Then this advances it, sleep by sleep, until the group has
 * rebalanced.
 */
export const make = (clock: Clock.Clock, runtime: Runtime.Runtime<never>): Standstill => {
  if (!isTestClock(clock)) return never
  const fork = Runtime.runFork(runtime)
  let members = 0
  let requests = 0
  let timer: NodeJS.Timeout | undefined

  /** Ends the sleeps that are next, one after the other. */
  const advance: Effect.Effect<void> = Effect.flatMap(clock.sleeps, (sleeps) => {
    const next = Math.min(...Chunk.toReadonlyArray(sleeps))
    if (members === 0 || next === Infinity) return Effect.void
    return Effect.zipRight(clock.setTime(Math.max(next, Monotonic.millis(clock))), advance)
  })

  const watch = (ticks: number, time: number, seen: number): void => {
    timer = setTimeout(() => {
      const now = Monotonic.millis(clock)
      const isIdle = now === time && requests === seen
      if (isIdle && ticks + 1 >= idleTicks) {
        fork(advance).addObserver(() => {
          if (members > 0) watch(0, Monotonic.millis(clock), requests)
        })
      } else watch(isIdle ? ticks + 1 : 0, now, requests)
    }, tickMs)
  }

  return {
    asked: () => {
      requests++
    },
    waiting: () => {
      members++
      if (members === 1) watch(0, Monotonic.millis(clock), requests)
      let isOver = false
      return () => {
        if (isOver) return
        isOver = true
        members--
        if (members === 0) clearTimeout(timer)
      }
    }
  }
}
