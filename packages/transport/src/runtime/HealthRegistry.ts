/**
 * Where components register their health checks, and the report made of them. For Spillway's own runtimes; unstable.
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/**
 * - `up`: works as it should
 * - `degraded`: works, with less than it should have, and is expected to recover by itself
 * - `down`: doesn't do its work now
 */
export type HealthStatus = "up" | "degraded" | "down"

/** A JSON value; members that are undefined are left out. */
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

/** A component's checks, summarized. */
export interface ComponentHealth extends HealthSummary {
  readonly checks: HealthChecks
}

/** Without a component, the program is still starting: `degraded`, live and not ready. */
export interface HealthReport extends HealthSummary {
  readonly components: { readonly [name: string]: ComponentHealth }
}

/** Where components register their checks. */
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
