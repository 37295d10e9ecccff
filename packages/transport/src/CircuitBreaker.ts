/**
 * Keeps a consumer from calling its handler while what the handler depends on is down. While a breaker is open no
 * handler is called and every partition waits; when its time is over one record goes through as a probe, and what
 * becomes of it closes the breaker or opens it for longer.
 *
 * A failure that opens the breaker, or meets it open or half-open, uses up none of its record's retries: the record is
 * tried again when the breaker lets it through, at the same attempt. So no record is dead-lettered by a breaker.
 *
 * What counts as failed is what would be retried: not a `NonRetryableError`, nor a value that doesn't decode.
 */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as LogLevel from "effect/LogLevel"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import type { Issue } from "./Environment.js"
import type { HandlerFailure } from "./HandlerError.js"
import * as Machine from "./internal/circuitBreaker/machine.js"
import type { CircuitBreakerSettings, CircuitBreakerState } from "./internal/circuitBreaker/types.js"
import * as Monotonic from "./internal/monotonic.js"
import * as Logging from "./Logging.js"

export type { CircuitBreakerSettings, CircuitBreakerState }

export interface CircuitBreakerOptions {
  /**
   * Which calls of the handler are looked at: the last so many, or those of the last so long. Default: the last 20.
   * A large window is slow to notice an outage: records may be out of retries before it does.
   */
  readonly window?: { readonly count: number } | { readonly time: Duration.DurationInput } | undefined
  /** It opens at a failure that makes this share of the window's calls, or more, failed: above 0, to 1. Default: 0.5. */
  readonly failureRatio?: number | undefined
  /**
   * It doesn't open while the window holds fewer calls. Default: 10. Keep it above the attempts of one record (the
   * policy's retries and 1), or a single bad record can open it.
   */
  readonly minimumThroughput?: number | undefined
  /** How long it stays open before the first probe. Default: 5 seconds. */
  readonly openTime?: Duration.DurationInput | undefined
  /** What that time is multiplied by with each probe that fails, at least 1. Default: 2. */
  readonly factor?: number | undefined
  /** It never stays open for longer. Default: 30 seconds. */
  readonly maxOpenTime?: Duration.DurationInput | undefined
  /** How many probes, one after the other, must succeed to close it. Default: 1. */
  readonly probes?: number | undefined
  /**
   * Which of the failures that would be retried count as failed; others count as nothing and use up retries as without
   * a breaker. Default: all. A record that fails for reasons of its own should not count: where it is the only one to
   * probe with, it would keep the breaker open. One that throws counts the failure.
   */
  readonly isFailure?: ((failure: HandlerFailure) => boolean) | undefined
}

/** What a consumer shows of its breaker. */
export interface CircuitBreaker {
  readonly state: Effect.Effect<CircuitBreakerState>
  /** The current state, then each change, until the consumer has ended. */
  readonly changes: Stream.Stream<CircuitBreakerState>
}

/** For runtimes: one of those who call the handler, with at most one call at a time. */
export interface Caller {
  /** Whether a call may begin now. */
  readonly isAdmitted: () => boolean
  /** Begins a call, if it may begin: then one of the others must follow. They do nothing when no call is on. */
  readonly enter: () => boolean
  readonly succeeded: () => void
  /** True when the failure uses up no retry. */
  readonly failed: (failure: HandlerFailure) => boolean
  /** The call ended without telling anything of what the breaker protects. */
  readonly ignored: () => void
}

/** For runtimes. */
export interface CircuitBreakerRuntime extends CircuitBreaker {
  readonly now: () => CircuitBreakerState
  readonly caller: () => Caller
}

/** The settings, which are good where there is no issue. */
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
 * For runtimes: a closed breaker, which lives until the scope closes. `onAdmission` is called whenever a call may begin
 * that might not have before.
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
  /** Changes that `state` doesn't tell yet. */
  const changes = yield* Queue.unbounded<CircuitBreakerState>()

  /** Does what may change the machine, and tells who must know. */
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

  /** Waits until the breaker has left the epoch in which it opened: a timer may fire before its time. */
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
