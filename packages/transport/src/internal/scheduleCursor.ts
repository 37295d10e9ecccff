/**
 * Steps through a `Schedule` without sleeping, for those who must wait by means of their own.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Schedule from "effect/Schedule"
import * as ScheduleDecision from "effect/ScheduleDecision"
import * as ScheduleIntervals from "effect/ScheduleIntervals"

/** A position in a schedule. Positions don't change: `next` gives the following one. */
export interface ScheduleCursor<in In, out R = never> {
  /** How long to wait and where that leads, or `none` when the schedule is done. */
  readonly next: (input: In) => Effect.Effect<Option.Option<ScheduleStep<In, R>>, never, R>
}

export interface ScheduleStep<in In, out R = never> {
  readonly delay: Duration.Duration
  readonly cursor: ScheduleCursor<In, R>
}

/** The start of a schedule. */
export const make = <Out, In, R>(schedule: Schedule.Schedule<Out, In, R>): ScheduleCursor<In, R> =>
  at(schedule, schedule.initial)

const at = <Out, In, R>(schedule: Schedule.Schedule<Out, In, R>, state: unknown): ScheduleCursor<In, R> => ({
  next: (input) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) =>
      Effect.map(schedule.step(now, input, state), ([next, , decision]) =>
        ScheduleDecision.isDone(decision)
          ? Option.none()
          : Option.some({
              delay: Duration.millis(ScheduleIntervals.start(decision.intervals) - now),
              cursor: at(schedule, next)
            })
      )
    )
})
