/**
 * Stops a consumer from calling its handler while a dependency of the handler is down. While a breaker is open, no
 * handler is called and every partition waits. After the open time, one record passes as a probe: its result closes the
 * breaker or opens it for longer.
 *
 * A failure that opens the breaker, or that occurs while it is open or half-open, uses up none of the record's retries:
 * the record is retried at the same attempt when the breaker lets it through. So a breaker never causes a dead letter.
 *
 * A failure counts if it would be retried: neither a `NonRetryableError` nor a value that doesn't decode counts.
 */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as LogLevel from "effect/LogLevel"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import type { HandlerFailure } from "./HandlerError.js"
import * as Machine from "./internal/circuitBreaker/machine.js"
import type { CircuitBreakerSettings, CircuitBreakerState } from "./internal/circuitBreaker/types.js"
import * as Monotonic from "./internal/monotonic.js"
import type { Issue } from "./runtime/Environment.js"
import * as Logging from "./runtime/Logging.js"

export type { CircuitBreakerSettings, CircuitBreakerState }

/** The options of a consumer's circuit breaker; all have defaults. */
export interface CircuitBreakerOptions {
  /**
   * The handler calls that count: the last `count`, or those within the last `time`. Default: the last 20. A large
   * window notices an outage late: records may run out of retries first.
   */
  readonly window?: { readonly count: number } | { readonly time: Duration.DurationInput } | undefined
  /** The breaker opens when at least this share of the window's calls failed: above 0, up to 1. Default: 0.5. */
  readonly failureRatio?: number | undefined
  /**
   * The breaker stays closed while the window holds fewer calls. Default: 10. Keep it above the attempts per record
   * (the policy's retries plus 1), or a single bad record can open the breaker.
   */
  readonly minimumThroughput?: number | undefined
  /** How long the breaker stays open before the first probe. Default: 5 seconds. */
  readonly openTime?: Duration.DurationInput | undefined
  /** The factor by which the open time grows with each failed probe, at least 1. Default: 2. */
  readonly factor?: number | undefined
  /** The longest open time. Default: 30 seconds. */
  readonly maxOpenTime?: Duration.DurationInput | undefined
  /** The number of consecutive probes that must succeed to close the breaker. Default: 1. */
  readonly probes?: number | undefined
  /**
   * Selects which of the failures that would be retried count; the others use up retries as they do without a breaker.
   * Default: all. Exclude failures that the record itself causes: a probe with such a record would keep the breaker
   * open. If the predicate throws, the failure counts.
   */
  readonly isFailure?: ((failure: HandlerFailure) => boolean) | undefined
}

/** The public view of a consumer's breaker. */
export interface CircuitBreaker {
  /** The current state. */
  readonly state: Effect.Effect<CircuitBreakerState>
  /** The current state, then each change, until the consumer ends. */
  readonly changes: Stream.Stream<CircuitBreakerState>
}

/** For runtimes: one caller of the handler, with at most one call at a time. */
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

/** For runtimes: a breaker that admits calls and counts their results. */
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
  const issues: Array<Issue> = []
  const number = (field: string, value: number, ok: boolean, description: string): number => {
    if (!ok) issues.push({ field, value, description })
    return value
  }
  const count = (field: string, value: number) =>
    number(
      field,
      value,
      Number.isSafeInteger(value) && value >= 1 && value <= 1e6,
      "must be a whole number from 1 to 1000000"
    )
  const millis = (field: string, value: Duration.DurationInput): number => {
    const decoded = Duration.decodeUnknown(value)
    const ms = decoded._tag === "Some" ? Duration.toMillis(decoded.value) : Number.NaN
    const ok = ms >= 1 && ms < 2 ** 31
    if (!ok) issues.push({ field, value, description: "must be a duration from 1 millisecond to 24 days" })
    return ms
  }
  const { factor = 2, failureRatio = 0.5, isFailure = () => true, window = { count: 20 } } = options
  const settings: CircuitBreakerSettings = {
    window:
      "time" in window
        ? { _tag: "Time", millis: millis("window.time", window.time) }
        : { _tag: "Count", count: count("window.count", window.count) },
    failureRatio: number(
      "failureRatio",
      failureRatio,
      failureRatio > 0 && failureRatio <= 1,
      "must be a number above 0, up to 1"
    ),
    minimumThroughput: count("minimumThroughput", options.minimumThroughput ?? 10),
    openMillis: millis("openTime", options.openTime ?? "5 seconds"),
    factor: number("factor", factor, factor >= 1 && Number.isFinite(factor), "must be a number, at least 1"),
    maxOpenMillis: millis("maxOpenTime", options.maxOpenTime ?? "30 seconds"),
    probes: count("probes", options.probes ?? 1),
    isFailure
  }
  if (settings.window._tag === "Count" && settings.minimumThroughput > settings.window.count) {
    issues.push({
      field: "minimumThroughput",
      value: settings.minimumThroughput,
      description: `must not be above window.count (${settings.window.count})`
    })
  }
  return { settings, issues }
}

/**
 * For runtimes: a closed breaker that lives until the scope closes. `onAdmission` is called whenever a call may begin
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
