/**
 * Where components register their health checks, and the report built from them. For Spillway's own runtimes; unstable.
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/**
 * - `up`: works normally
 * - `degraded`: works with less than it needs, and should recover by itself
 * - `down`: doesn't do its work now
 */
export type HealthStatus = "up" | "degraded" | "down"

/** A JSON value; undefined members are left out. */
export type Json =
  | string
  | number
  | boolean
  | null
  | ReadonlyArray<Json>
  | { readonly [name: string]: Json | undefined }

/** The result of one check. */
export interface HealthCheck {
  /** Whether the component works. */
  readonly status: HealthStatus
  /** The state, a word from the table in `docs/health.md`. */
  readonly state: string
  /** False if only a restart of the program helps. Default: true. */
  readonly live?: boolean | undefined
  /** False while the component can't take work. Default: true. */
  readonly ready?: boolean | undefined
  /** More about the state, such as the partitions that make no progress. */
  readonly details?: { readonly [name: string]: Json | undefined } | undefined
}

/** A component's checks by name. */
export type HealthChecks = { readonly [name: string]: HealthCheck }

/** The worst status of its parts, and whether all of them are live and ready. */
export interface HealthSummary {
  /** The worst status of the parts. */
  readonly status: HealthStatus
  /** False if only a restart of the program helps one of them. */
  readonly live: boolean
  /** False while one of them can't take work. */
  readonly ready: boolean
}

/** A component's checks, summarized. */
export interface ComponentHealth extends HealthSummary {
  /** The checks by name. */
  readonly checks: HealthChecks
}

/** Without components, the program is still starting: `degraded`, live and not ready. */
export interface HealthReport extends HealthSummary {
  /** The components by name, such as `consumer billing`. */
  readonly components: { readonly [name: string]: ComponentHealth }
}

/** Where components register their checks. */
export interface HealthRegistry {
  /** False if health is off: components can skip their bookkeeping. */
  readonly enabled: boolean
  /** Work that makes no progress for this long is reported. */
  readonly stalledAfter: Duration.Duration
  /**
   * Adds a component until the scope closes; a duplicate name gets a number. Each report runs its checks, which must
   * answer from cached state. Checks that throw are `down`, with the state `unknown`.
   */
  readonly register: (name: string, checks: () => HealthChecks) => Effect.Effect<void, never, Scope.Scope>
  /** Runs every component's checks now. */
  readonly report: Effect.Effect<HealthReport>
}
