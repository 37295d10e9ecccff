/**
 * Steps through a `Schedule` without sleeping, for callers that wait in their own way. Changes of the wall clock don't
 * mislead a schedule that measures its duration: it sees the time of its first step, and after that only elapsed time.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Schedule from "effect/Schedule"
import * as ScheduleDecision from "effect/ScheduleDecision"
import * as ScheduleIntervals from "effect/ScheduleIntervals"
import * as Monotonic from "../runtime/Monotonic.js"

/** A position in a schedule. Positions are immutable: `next` returns the following one. */
export interface ScheduleCursor<in In, out R = never> {
  /** The next delay and position, or `none` when the schedule is done. */
  readonly next: (input: In) => Effect.Effect<Option.Option<ScheduleStep<In, R>>, never, R>
}

/** A step of a schedule. */
export interface ScheduleStep<in In, out R = never> {
  /** The time to wait. */
  readonly delay: Duration.Duration
  /** The position after the wait. */
  readonly cursor: ScheduleCursor<In, R>
}

/** The start of a schedule. */
export const make = <Out, In, R>(schedule: Schedule.Schedule<Out, In, R>): ScheduleCursor<In, R> =>
  at(schedule, schedule.initial)

/** The wall clock's lead over the monotonic one, in milliseconds, at a schedule's first step. */
const lead = Effect.clockWith((clock) =>
  Effect.sync(() => clock.unsafeCurrentTimeMillis() - Math.floor(Monotonic.millis(clock)))
)

const at = <Out, In, R>(
  schedule: Schedule.Schedule<Out, In, R>,
  state: unknown,
  begunWith?: number
): ScheduleCursor<In, R> => ({
  next: (input) =>
    Effect.gen(function* () {
      const leadMs = begunWith ?? (yield* lead)
      const now = leadMs + Math.floor(yield* Monotonic.now)
      const [next, , decision] = yield* schedule.step(now, input, state)
      return ScheduleDecision.isDone(decision)
        ? Option.none()
        : Option.some({
            delay: Duration.millis(ScheduleIntervals.start(decision.intervals) - now),
            cursor: at(schedule, next, leadMs)
          })
    })
})
