/**
 * Lets handlers that waited continue in turns of the event loop. Node fires all due timers before it looks at sockets:
 * if handlers of many lanes slept, their computations afterwards would run in one stretch.
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import type * as Scheduler from "effect/Scheduler"
import type { Turn } from "./turn.js"

/** Runs a task right away while the turn lasts, and in a later turn when it is over. */
class TurnScheduler implements Scheduler.Scheduler {
  constructor(
    readonly turn: Turn,
    readonly base: Scheduler.Scheduler
  ) {}

  shouldYield(fiber: Fiber.RuntimeFiber<unknown, unknown>): number | false {
    return this.base.shouldYield(fiber)
  }

  scheduleTask(task: Scheduler.Task, priority: number, fiber?: Fiber.RuntimeFiber<unknown, unknown>): void {
    const inTurn = () => {
      if (this.turn.isOver()) this.turn.later(task)
      else task()
    }
    this.base.scheduleTask(inTurn, priority, fiber)
  }
}

/** Without the turns that an enclosing handler is in. */
const baseOf = (scheduler: Scheduler.Scheduler): Scheduler.Scheduler =>
  scheduler instanceof TurnScheduler ? scheduler.base : scheduler

/** Runs an effect whose fiber, and those that it forks, continue in turns; on a real event loop alone. */
export const inTurns =
  (turn: Turn) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    turn.isLive
      ? Effect.flatMap(FiberRef.get(FiberRef.currentScheduler), (scheduler) =>
          Effect.withScheduler(effect, new TurnScheduler(turn, baseOf(scheduler)))
        )
      : effect
