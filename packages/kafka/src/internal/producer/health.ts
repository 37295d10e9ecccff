/**
 * A producer's health checks.
 */
import { Health, type HealthCheck } from "@spillway/transport/Health"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Cluster } from "../cluster/cluster.js"
import * as Brokers from "../cluster/health.js"
import * as Retries from "../cluster/retryHealth.js"

/** A record that was accepted and isn't acknowledged yet. */
export interface Pending {
  readonly topic: string
  /** How long ago it was accepted, in milliseconds. */
  readonly ageMs: number
  /** Why it was last retried. */
  readonly lastFailure: string | undefined
}

export interface ProducerView {
  readonly closing: boolean
  /** Calls of `send` and `sendAll` that have no result yet. */
  readonly pending: number
  readonly oldest: Pending | undefined
}

/** Whether records are acknowledged. */
export const sending = ({ closing, oldest, pending }: ProducerView): HealthCheck => {
  if (closing) return { status: "degraded", state: "closing", ready: false, details: { pending } }
  if (oldest?.lastFailure === undefined) return { status: "up", state: "sending", details: { pending } }
  const { ageMs, topic, lastFailure } = oldest
  return {
    status: "degraded",
    state: "waiting",
    details: { pending, topic, seconds: Math.round(ageMs / 1_000), error: lastFailure }
  }
}

export const register = (cluster: Cluster, view: () => ProducerView): Effect.Effect<void, never, Scope.Scope> =>
  Effect.flatMap(Health, (health) =>
    health.register("producer", () => ({
      brokers: Brokers.check(cluster.reachability()),
      retries: Retries.check(cluster.retries.lasting()),
      sending: sending(view())
    }))
  )
