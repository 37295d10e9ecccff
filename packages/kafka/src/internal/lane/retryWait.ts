/**
 * The wait before a record's next attempt, or before its dead letter is published again.
 */
import type { Wait } from "@spillway/transport/runtime/Processor"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Signal from "../concurrency/signal.js"
import type { Admission } from "./admission.js"
import * as Gate from "./gate.js"
import type { Turn } from "./turn.js"

export const make = (options: {
  readonly admission: Admission
  readonly gate: Gate.Gate
  readonly turn: Turn
  /** Notified when one of the answers may have changed. */
  readonly wake: Signal.Signal
  /** Whether the wait must end early, without an attempt. */
  readonly isCut: () => boolean
}): Wait => {
  const { admission, gate, isCut, turn, wake } = options

  const until = (condition: () => boolean): Effect.Effect<void> =>
    Effect.suspend(() => (condition() ? Effect.void : Effect.zipRight(wake.wait(), until(condition))))

  const wait: Wait = (delay, before) =>
    Effect.suspend(() => {
      const passes = before === "attempt" ? admission.admits : () => Gate.passes(gate, turn.now())
      let isOver = false
      const timer = Effect.map(
        // In whole milliseconds: `TestClock` can't read the time in nanoseconds after other fractions.
        Effect.sleep(Math.ceil(Duration.toMillis(delay))),
        () => {
          isOver = true
          wake.notify()
        }
      )
      return Effect.flatMap(Effect.fork(timer), (timing) =>
        Effect.ensuring(
          until(() => isCut() || (isOver && passes())),
          Fiber.interrupt(timing)
        )
      )
    }).pipe(Effect.zipRight(begin(before)))

  const begin = (before: Parameters<Wait>[1]): Effect.Effect<boolean> =>
    Effect.suspend(() => {
      if (isCut()) return Effect.succeed(false)
      if (before === "publish") return Effect.succeed(true)
      if (turn.isOver()) return Effect.zipRight(turn.next, begin(before))
      // Another lane may have taken the breaker's permission meanwhile.
      return admission.admit() ? Effect.succeed(true) : wait(Duration.zero, before)
    })

  return wait
}
