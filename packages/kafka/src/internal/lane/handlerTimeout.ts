/**
 * The handler timeout: interrupts attempts that have been running for `handlerTimeout`, first ones and retries alike.
 * It checks all lanes of a consumer at intervals: a timer for each attempt would cost more than a short handler.
 */
import { HandlerTimeout } from "@spillway/transport/HandlerError"
import * as Monotonic from "@spillway/transport/runtime/Monotonic"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Signal from "../concurrency/signal.js"

/** The observed state of one lane's attempts. */
export interface Watchdog {
  readonly timeout: Duration.Duration
  readonly timeoutMs: number
  /** The number of started attempts, which distinguishes a long one from many short ones. */
  attempts: number
  /** The attempt that was running at the last check, and when it was first seen. */
  seen: number
  seenAt: number
  /** The attempt that was interrupted; -1 once the interruption has arrived. */
  interrupted: number
}

export const make = (timeout: Duration.Duration): Watchdog => ({
  timeout,
  timeoutMs: Duration.toMillis(timeout),
  attempts: 0,
  seen: -1,
  seenAt: 0,
  interrupted: -1
})

/** An attempt begins. */
export const begin = (watchdog: Watchdog): void => {
  watchdog.attempts++
}

/** Whether the running attempt is to be interrupted now; true once for each attempt. `now` is in milliseconds. */
export const look = (watchdog: Watchdog, now: number): boolean => {
  const { attempts, timeoutMs } = watchdog
  if (watchdog.seen !== attempts) {
    watchdog.seen = attempts
    watchdog.seenAt = now
    return false
  }
  if (watchdog.interrupted === attempts || now - watchdog.seenAt < timeoutMs) return false
  watchdog.interrupted = attempts
  return true
}

/** The failure of an attempt that was interrupted. */
export const timedOut = ({ timeout }: Watchdog): Cause.Cause<HandlerTimeout> =>
  Cause.fail(new HandlerTimeout({ timeout }))

/**
 * The cause of the running attempt's failure, once its fiber was interrupted. The interruption is sent in the same step
 * as `look` returns true, so it reaches the attempt that was found, even if that is about to end.
 */
export const causeOf = (watchdog: Watchdog, cause: Cause.Cause<unknown>): Cause.Cause<unknown> => {
  const isTimeout = watchdog.interrupted !== -1
  watchdog.interrupted = -1
  return isTimeout ? timedOut(watchdog) : cause
}

/** A watched handler of records. */
export interface Watched {
  /** Whether an attempt is running. */
  readonly isHandling: () => boolean
  /** Interrupts an attempt that has been running for `handlerTimeout`. Called at intervals. */
  readonly watch: (now: number) => void
}

/** Checks the lanes while any of them runs an attempt, ten times per timeout: an idle consumer needs no timer. */
export const watch = (options: {
  readonly all: ReadonlySet<Watched>
  readonly timeoutMs: number
  /** Notified when an attempt begins. */
  readonly attemptBegun: Signal.Signal
}): Effect.Effect<never> => {
  const { all, attemptBegun, timeoutMs } = options
  const isHandling = () => Array.from(all).some((one) => one.isHandling())
  return Effect.gen(function* () {
    while (true) {
      if (!isHandling()) {
        yield* attemptBegun.wait()
        continue
      }
      yield* Effect.sleep(Math.ceil(timeoutMs / 10))
      const now = yield* Monotonic.now
      for (const one of all) one.watch(now)
    }
  })
}
