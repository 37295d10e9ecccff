/**
 * The connections and settings that all operations of one `KafkaAdmin` share, and the time limit of each operation.
 */
import { describe } from "@spillway/transport/runtime/Environment"
import * as Monotonic from "@spillway/transport/runtime/Monotonic"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Wire } from "../../Wire.js"
import * as Cluster from "../cluster/cluster.js"
import { type AdminSettings, timeoutOf } from "./adminSettings.js"
import * as Failures from "./failures.js"
import type { AdminFailure, AdminOptions, KafkaAdminError } from "./types.js"

export interface Client {
  readonly cluster: Cluster.Cluster
  readonly settings: AdminSettings
}

export const make = (settings: AdminSettings): Effect.Effect<Client, never, Wire | Scope.Scope> =>
  Effect.map(Cluster.makeFor({ client: "KafkaAdmin" }), (cluster) => ({ cluster, settings }))

/** An operation that has started. */
export interface Operation {
  readonly cluster: Cluster.Cluster
  readonly timeoutMs: number
  /** The milliseconds that are left of its timeout; zero at the end. */
  readonly remainingMs: Effect.Effect<number>
}

/** Starts an operation, unless its timeout or its arguments can't be used. */
export const start = (
  { cluster, settings }: Client,
  options: AdminOptions | undefined,
  problems: ReadonlyArray<AdminFailure>
): Effect.Effect<Operation, KafkaAdminError> =>
  Effect.flatMap(Monotonic.now, (startedAt) => {
    const timeoutMs = timeoutOf(options?.timeout, settings.timeoutMs)
    const wrong =
      typeof timeoutMs === "number"
        ? problems
        : [...problems, { reason: "InvalidArgument", field: "timeout", description: describe(timeoutMs) } as const]
    if (typeof timeoutMs !== "number" || wrong.length > 0) return Effect.fail(Failures.errorOf(wrong))
    return Effect.succeed({
      cluster,
      timeoutMs,
      remainingMs: Effect.map(Monotonic.now, (now) => Math.max(0, Math.ceil(startedAt + timeoutMs - now)))
    })
  })
