/**
 * Metrics that are off, and metrics in Effect's Metric registry. For Spillway's own runtimes; unstable.
 */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as internal from "../internal/transportMetrics.js"
import type { Metrics } from "./Metrics.js"

/** Metrics that count nothing. */
export const off: Metrics = internal.off

/**
 * Active metrics, whose names begin with `service`; it isn't checked. Uptime starts here and is updated until the scope
 * closes.
 */
export const make: (service: string) => Effect.Effect<Metrics, never, Scope.Scope> = internal.make
