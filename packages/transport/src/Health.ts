/**
 * Health of consumers and producers. Off by default, and then free. `layer` turns it on for the consumers and producers
 * it is provided to; they register for the life of their scope. A report reads cached state and sends no requests.
 */
import type { Config } from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { InvalidOptions } from "./InvalidOptions.js"
import * as internal from "./internal/health.js"
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
import { settings } from "./runtime/HealthSettings.js"
import * as Settings from "./runtime/Settings.js"

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

/** The options of health. */
export interface HealthOptions {
  /** How long work may make no progress before health reports it. Default: 2 minutes. */
  readonly stalledAfter?: Duration.DurationInput | undefined
}

/** A new registry. */
export const make = (options: HealthOptions = {}): Effect.Effect<HealthRegistry, InvalidOptions> =>
  Effect.map(Settings.decode(settings, options), ({ stalledAfter }) => internal.make(Duration.millis(stalledAfter)))

/** Turns health on for the consumers and producers that this layer is provided to. */
export const layer = (options?: HealthOptions | undefined): Layer.Layer<never, InvalidOptions> =>
  Layer.effect(Health, make(options))

/** `HEALTH_STALLED_AFTER`, optional; within a namespace `A`, `A_HEALTH_STALLED_AFTER`. */
export const config = (defaults?: HealthOptions | undefined, namespace?: string | undefined): Config<HealthOptions> =>
  Settings.config(settings, defaults, namespace)

/** `layer` with the options from the environment; see `config`. */
export const layerConfig = (
  defaults?: HealthOptions | undefined,
  namespace?: string | undefined
): Layer.Layer<never, InvalidOptions | ConfigError> =>
  Layer.effect(Health, Effect.flatMap(config(defaults, namespace), make))
