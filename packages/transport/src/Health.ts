/**
 * Health of consumers and producers. Off by default, and then free. `layer` turns it on for the consumers and producers
 * it is provided to; they register for the life of their scope. A report reads cached state and sends no requests.
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as internal from "./internal/health.js"
import * as Environment from "./runtime/Environment.js"
import type {
  ComponentHealth,
  HealthCheck,
  HealthChecks,
  HealthRegistry,
  HealthReport,
  HealthStatus,
  HealthSummary,
  Json
} from "./runtime/HealthRegistry.js"

export type {
  ComponentHealth,
  HealthCheck,
  HealthChecks,
  HealthRegistry,
  HealthReport,
  HealthStatus,
  HealthSummary,
  Json
}

/** The registry where consumers and producers register. Default: health is off. */
export class Health extends Context.Reference<Health>()("@spillway/transport/Health", {
  defaultValue: (): HealthRegistry => internal.off
}) {}

/** An option with which health can't be watched. */
export class HealthError extends Data.TaggedError("HealthError")<{
  /** Always `InvalidOption`. */
  readonly reason: "InvalidOption"
  /** The option's name. */
  readonly field: string
  /** The value that can't be used. */
  readonly value: unknown
  /** The rule that the value breaks. */
  readonly description: string
}> {
  override get message(): string {
    return Environment.describe(this)
  }
}

/** The options of health. */
export interface HealthOptions {
  /** How long work may make no progress before health reports it. Default: 2 minutes. */
  readonly stalledAfter?: Duration.DurationInput | undefined
}

/** Every problem with the options. */
export const check = ({ stalledAfter }: HealthOptions): ReadonlyArray<Environment.Issue> => {
  if (stalledAfter === undefined) return []
  const decoded = Duration.decodeUnknown(stalledAfter)
  return decoded._tag === "Some" && Duration.greaterThan(decoded.value, Duration.zero)
    ? []
    : [{ field: "stalledAfter", value: stalledAfter, description: "must be a duration above zero" }]
}

/** A new registry. */
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
