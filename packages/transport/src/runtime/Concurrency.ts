/**
 * Races and time limits that never lose an interruption. Effect 3.22's own `race`, `raceFirst` and `timeout*` can: a
 * fiber interrupted at the wrong operation then waits forever. For Spillway's own runtimes; unstable.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"

/** The first fiber to end. */
const firstEnded = <A>(fibers: ReadonlyArray<Fiber.RuntimeFiber<A>>): Effect.Effect<Fiber.RuntimeFiber<A>> =>
  Effect.async((resume) => {
    for (const fiber of fibers) fiber.addObserver(() => resume(Effect.succeed(fiber)))
  })

/** Runs both at once and ends with the first result, after it has interrupted the other and awaited its end. */
export const raceFirst = <A, E, R, A2, E2, R2>(
  self: Effect.Effect<A, E, R>,
  that: Effect.Effect<A2, E2, R2>
): Effect.Effect<A | A2, E | E2, R | R2> =>
  Effect.uninterruptibleMask((restore) => {
    const racers: ReadonlyArray<Effect.Effect<A | A2, E | E2, R | R2>> = [self, that]
    return Effect.flatMap(
      // Exits rather than results: a fiber that fails is logged as unhandled.
      Effect.forEach(racers, (racer) => Effect.fork(Effect.exit(restore(racer)))),
      (fibers: Array<Fiber.RuntimeFiber<Exit.Exit<A | A2, E | E2>>>) =>
        Effect.ensuring(restore(firstEnded(fibers)), Fiber.interruptAll(fibers)).pipe(
          Effect.flatMap(Fiber.join),
          Effect.flatten
        )
    )
  })

/** An effect's value, or none if it takes longer; it is then interrupted, and has ended when this ends. */
export const timeoutOption = <A, E, R>(
  self: Effect.Effect<A, E, R>,
  duration: Duration.DurationInput
): Effect.Effect<Option.Option<A>, E, R> =>
  raceFirst(Effect.map(self, Option.some), Effect.as(Effect.interruptible(Effect.sleep(duration)), Option.none()))

/** The options of `timeoutFail`. */
export interface TimeoutFailOptions<E> {
  /** The time after which the effect is interrupted. */
  readonly duration: Duration.DurationInput
  /** Makes the error. */
  readonly onTimeout: () => E
}

/** Fails if the effect takes longer; the effect is then interrupted, and has ended when this ends. */
export const timeoutFail = <A, E, R, E2>(
  self: Effect.Effect<A, E, R>,
  { duration, onTimeout }: TimeoutFailOptions<E2>
): Effect.Effect<A, E | E2, R> =>
  Effect.flatMap(
    timeoutOption(self, duration),
    Option.match({ onNone: () => Effect.failSync(onTimeout), onSome: Effect.succeed })
  )
