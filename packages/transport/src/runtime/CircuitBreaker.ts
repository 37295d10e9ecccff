/**
 * The circuit breaker of a consumer: admits the calls of its handler and counts their results. For Spillway's own
 * runtimes; unstable.
 */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as LogLevel from "effect/LogLevel"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import type { CircuitBreaker, CircuitBreakerOptions, CircuitBreakerState } from "../CircuitBreaker.js"
import type { HandlerFailure } from "../HandlerError.js"
import * as Machine from "../internal/circuitBreaker/machine.js"
import { settings } from "../internal/circuitBreaker/settings.js"
import type { CircuitBreakerSettings } from "../internal/circuitBreaker/types.js"
import type { Issue } from "./Environment.js"
import * as Logging from "./Logging.js"
import * as Monotonic from "./Monotonic.js"
import * as Settings from "./Settings.js"

export type { CircuitBreakerSettings }

/** One caller of the handler, with at most one call at a time. */
export interface Caller {
  /** Whether a call may begin now. */
  readonly isAdmitted: () => boolean
  /** Begins a call, if allowed; one of the other functions must then follow. They do nothing without a call. */
  readonly enter: () => boolean
  /** The call succeeded. */
  readonly succeeded: () => void
  /** The call failed. Returns true if the failure uses up no retry. */
  readonly failed: (failure: HandlerFailure) => boolean
  /** The call ended and its result says nothing about the protected dependency. */
  readonly ignored: () => void
}

/** A breaker that admits calls and counts their results. */
export interface CircuitBreakerRuntime extends CircuitBreaker {
  /** The current state, without an Effect. */
  readonly now: () => CircuitBreakerState
  /** A new caller; each lane has its own. */
  readonly caller: () => Caller
}

/** The settings, valid if there are no issues. */
export const check = (
  options: CircuitBreakerOptions
): { readonly settings: CircuitBreakerSettings; readonly issues: ReadonlyArray<Issue> } => {
  const { issues, values } = Settings.check(settings, options)
  const { maxOpenTime: maxOpenMillis, openTime: openMillis, ...others } = values
  return { settings: { ...others, openMillis, maxOpenMillis }, issues }
}

/**
 * A closed breaker that lives until the scope closes. `onAdmission` is called whenever a call may begin
 * that might not have been allowed before.
 */
export const make = Effect.fnUntraced(function* (
  settings: CircuitBreakerSettings,
  onAdmission: () => void
): Effect.fn.Return<CircuitBreakerRuntime, never, Scope.Scope> {
  const clock = yield* Effect.clock
  const now = () => Monotonic.millis(clock)
  const timed = settings.window._tag === "Time"
  const machine = Machine.make(settings)
  const ended = yield* Deferred.make<void>()
  const state = yield* SubscriptionRef.make<CircuitBreakerState>("closed")
  /** Changes that `state` doesn't show yet. */
  const changes = yield* Queue.unbounded<CircuitBreakerState>()

  /** Applies a change to the machine and notifies everyone it concerns. */
  const move = (step: () => void): void => {
    const { epoch } = machine
    const admitted = Machine.admits(machine)
    step()
    if (machine.epoch !== epoch) changes.unsafeOffer(machine.state)
    if (Machine.admits(machine) && (!admitted || machine.epoch !== epoch)) onAdmission()
  }

  const logOpen = Effect.suspend(() =>
    Logging.log(LogLevel.Warning, "The circuit breaker is open: handlers are not called", {
      openFor: Duration.format(Duration.millis(Math.ceil(machine.opensUntil - now())))
    })
  )

  /** Waits until the breaker leaves the epoch in which it opened: a timer may fire early. */
  const becomeHalfOpen = (epoch: number): Effect.Effect<void> =>
    Effect.suspend(() => {
      move(() => Machine.tick(machine, now()))
      return machine.epoch === epoch
        ? Effect.zipRight(Effect.sleep(Math.ceil(machine.opensUntil - now())), becomeHalfOpen(epoch))
        : Effect.void
    })

  yield* Effect.addFinalizer(() => Deferred.succeed(ended, undefined))
  yield* Queue.take(changes).pipe(
    Effect.tap((changed) => SubscriptionRef.set(state, changed)),
    Effect.tap((changed) => {
      if (changed === "open") return Effect.zipRight(logOpen, becomeHalfOpen(machine.epoch))
      return changed === "closed" ? Logging.log(LogLevel.Info, "The circuit breaker is closed again", {}) : Effect.void
    }),
    Effect.forever,
    Effect.interruptible,
    Effect.forkScoped
  )

  const counts = (failure: HandlerFailure): boolean => {
    try {
      return settings.isFailure(failure)
    } catch {
      return true
    }
  }

  return {
    state: Effect.sync(() => machine.state),
    now: () => machine.state,
    changes: Stream.interruptWhenDeferred(Stream.changes(state.changes), ended),
    caller: () => {
      let permit: Machine.Permit | undefined
      const end = (step: (permit: Machine.Permit) => void) => {
        if (permit === undefined) return
        const ended = permit
        permit = undefined
        move(() => step(ended))
      }
      const ignored = () => end((ended) => Machine.ignore(machine, ended))
      return {
        isAdmitted: () => Machine.admits(machine),
        enter: () => {
          if (!Machine.admits(machine)) return false
          permit = Machine.begin(machine)
          return true
        },
        succeeded: () => {
          if (machine.state !== "closed" || permit === undefined) {
            return end((ended) => Machine.succeed(machine, ended, now()))
          }
          // The hot path: nothing changes.
          Machine.succeed(machine, permit, timed ? now() : 0)
          permit = undefined
        },
        failed: (failure) => {
          if (!counts(failure)) {
            ignored()
            return false
          }
          end((ended) => Machine.fail(machine, ended, now()))
          return machine.state !== "closed"
        },
        ignored
      }
    }
  }
})
