/**
 * A producer without transactions.
 */
import type { Producer } from "@spillway/transport/Producer"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Wire } from "../../Wire.js"
import type { ProducerSettings } from "../settings/producerSettings.js"
import * as Core from "./core.js"
import * as Readiness from "./readiness.js"

export const make = (
  settings: ProducerSettings
): Effect.Effect<Context.Tag.Service<Producer>, never, Wire | Scope.Scope> =>
  Effect.map(
    Core.make(settings, settings.idempotent ? Readiness.idempotent : () => Readiness.free),
    ({ producer }) => producer
  )
