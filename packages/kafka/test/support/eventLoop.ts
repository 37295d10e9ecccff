/**
 * A clock for handlers that compute: time passes while a handler blocks the event loop, and due timers fire late, one
 * after the other. When no fiber computes, time jumps to the next timer.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

export interface EventLoop {
  readonly clock: Clock.Clock
  /** Milliseconds since the start. */
  readonly now: () => number
  /** Blocks the event loop for this many milliseconds. */
  readonly compute: (millis: number) => void
  /** The greatest lateness of a timer, in milliseconds. */
  readonly late: () => number
}

interface Timer {
  readonly at: number
  readonly ring: () => void
}

export const make = (): EventLoop => {
  const timers = new Set<Timer>()
  let now = 0
  let late = 0
  let isTurning = false

  /** Each timer fires in its own turn of the real event loop, so fibers come to rest before the next one. */
  const turn = () => {
    let first: Timer | undefined
    for (const timer of timers) if (first === undefined || timer.at < first.at) first = timer
    isTurning = first !== undefined
    if (first === undefined) return
    timers.delete(first)
    late = Math.max(late, now - first.at)
    now = Math.max(now, first.at)
    first.ring()
    setImmediate(turn)
  }

  const set = (timer: Timer) => {
    timers.add(timer)
    if (isTurning) return
    isTurning = true
    setImmediate(turn)
  }

  const millis = () => now
  const nanos = () => BigInt(Math.round(now * 1e6))
  const clock: Clock.Clock = {
    [Clock.ClockTypeId]: Clock.ClockTypeId,
    unsafeCurrentTimeMillis: millis,
    unsafeCurrentTimeNanos: nanos,
    currentTimeMillis: Effect.sync(millis),
    currentTimeNanos: Effect.sync(nanos),
    sleep: (duration) =>
      Effect.async((resume) => {
        const timer = { at: now + Duration.toMillis(duration), ring: () => resume(Effect.void) }
        if (Number.isFinite(timer.at)) set(timer)
        return Effect.sync(() => timers.delete(timer))
      })
  }
  return {
    clock,
    now: millis,
    compute: (ms) => {
      now += ms
    },
    late: () => late
  }
}
