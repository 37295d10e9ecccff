/**
 * What consumers and producers tell of their health. Off by default, and then free; `layer` turns it on for those that
 * it is provided to, who register for the life of their scope. A report asks nobody: it tells what is known.
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Environment from "./Environment.js"
import * as internal from "./internal/health.js"

/**
 * - `up`: works as it should
 * - `degraded`: works, with less than it should have, and is expected to mend by itself
 * - `down`: doesn't do its work now
 */
export type HealthStatus = "up" | "degraded" | "down"

export type Json =
  | string
  | number
  | boolean
  | null
  | ReadonlyArray<Json>
  | { readonly [name: string]: Json | undefined }

/** One thing that a component knows of itself. */
export interface HealthCheck {
  readonly status: HealthStatus
  /** A word for what is the case, from the table in `docs/health.md`. */
  readonly state: string
  /** False where only a restart of the program helps. Default: true. */
  readonly live?: boolean | undefined
  /** False while it can't take work. Default: true. */
  readonly ready?: boolean | undefined
  readonly details?: { readonly [name: string]: Json | undefined } | undefined
}

/** A component's checks by their names. */
export type HealthChecks = { readonly [name: string]: HealthCheck }

/** The worst status of what it is made of, and whether all of it is live and ready. */
export interface HealthSummary {
  readonly status: HealthStatus
  readonly live: boolean
  readonly ready: boolean
}

export interface ComponentHealth extends HealthSummary {
  readonly checks: HealthChecks
}

/** Without a component, the program is still starting: `degraded`, live and not ready. */
export interface HealthReport extends HealthSummary {
  readonly components: { readonly [name: string]: ComponentHealth }
}

export interface HealthRegistry {
  /** False when health is off: components needn't watch themselves. */
  readonly enabled: boolean
  /** Work that makes no progress for longer is named. */
  readonly stalledAfter: Duration.Duration
  /**
   * Adds a component until the scope closes; a name that is taken gets a number. Its checks are read at each report:
   * they must answer from what is known. Checks that throw are `down`, with the state `unknown`.
   */
  readonly register: (name: string, checks: () => HealthChecks) => Effect.Effect<void, never, Scope.Scope>
  readonly report: Effect.Effect<HealthReport>
}

export class Health extends Context.Reference<Health>()("@spillway/transport/Health", {
  defaultValue: (): HealthRegistry => internal.off
}) {}

/** An option that health can't be watched with. */
export class HealthError extends Data.TaggedError("HealthError")<{
  readonly reason: "InvalidOption"
  readonly field: string
  readonly value: unknown
  readonly description: string
}> {
  override get message(): string {
    return Environment.describe(this)
  }
}

export interface HealthOptions {
  /** How long work may make no progress before it is named. Default: 2 minutes. */
  readonly stalledAfter?: Duration.DurationInput | undefined
}

/** All that is wrong with the options. */
export const check = ({ stalledAfter }: HealthOptions): ReadonlyArray<Environment.Issue> => {
  if (stalledAfter === undefined) return []
  const decoded = Duration.decodeUnknown(stalledAfter)
  return decoded._tag === "Some" && Duration.greaterThan(decoded.value, Duration.zero)
    ? []
    : [{ field: "stalledAfter", value: stalledAfter, description: "must be a duration above zero" }]
}

/** A registry of its own. */
export const make = (options: HealthOptions = {}): Effect.Effect<HealthRegistry, HealthError> =>
  Effect.suspend(() => {
    const [issue] = check(options)
    return issue === undefined
      ? Effect.succeed(internal.make(Duration.decode(options.stalledAfter ?? "2 minutes")))
      : new HealthError({ reason: "InvalidOption", ...issue })
  })

/** Turns health on for the consumers and producers that this layer is provided to. */
export const layer = (options?: HealthOptions | undefined): Layer.Layer<never, HealthError> =>
  Layer.effect(Health, make(options))
