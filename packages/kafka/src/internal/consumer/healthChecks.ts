/**
 * A consumer's health checks, each from the consumer's own state.
 */

import type { CircuitBreakerState } from "@spillway/transport/CircuitBreaker"
import type { ConsumerError, ConsumerStatus, TopicPartition } from "@spillway/transport/Consumer"
import type { HealthCheck, HealthChecks } from "@spillway/transport/Health"
import type { ConsumerSnapshot } from "@spillway/transport/runtime/ConsumerSnapshot"
import type { Reachability } from "../cluster/cluster.js"
import * as ClusterHealth from "../cluster/health.js"
import * as RetryHealth from "../cluster/retryHealth.js"
import type { Lasting } from "../concurrency/retries.js"
import * as Progress from "./progress.js"

/** A record whose dead letter can't be published. */
export interface BlockedRecord extends TopicPartition {
  readonly offset: number
  readonly deadLetterTopic: string
  readonly error: string
  /** The remedy, if the error won't pass by itself. */
  readonly remedy?: string | undefined
  /** Milliseconds of the monotonic clock. */
  readonly since: number
}

export interface MembershipView {
  readonly memberId: string
  readonly generationId: number
  /** Whether a generation has been joined and none is being joined. */
  readonly isStable: boolean
  /** Whether heartbeats are acknowledged in time. */
  readonly isAlive: boolean
}

export interface ConsumerView {
  readonly snapshot: ConsumerSnapshot
  readonly failure: ConsumerError | undefined
  readonly reachability: Reachability
  readonly membership: MembershipView
  readonly retries: ReadonlyArray<Lasting>
  /** Topics that are known not to exist. */
  readonly missingTopics: ReadonlyArray<string>
  readonly progress: Progress.Progress
  readonly blocked: ReadonlyArray<BlockedRecord>
  readonly limits: Omit<Progress.Limits, "mayStart">
  /** Milliseconds of the monotonic clock. */
  readonly now: number
}

const lifecycles: Readonly<Record<ConsumerStatus, HealthCheck>> = {
  Starting: { status: "degraded", state: "starting", ready: false },
  Running: { status: "up", state: "running" },
  Paused: { status: "up", state: "paused" },
  Draining: { status: "degraded", state: "draining", ready: false },
  Stopped: { status: "down", state: "stopped", ready: false },
  Failed: { status: "down", state: "failed", live: false, ready: false }
}

/** Used until the consumer's state is known. */
export const starting: HealthChecks = { lifecycle: lifecycles.Starting }

const lifecycle = (status: ConsumerStatus, failure: ConsumerError | undefined): HealthCheck => ({
  ...lifecycles[status],
  ...(failure === undefined ? {} : { details: { reason: failure.reason, error: failure.message } })
})

const membership = (
  { generationId, isAlive, isStable, memberId }: MembershipView,
  { partitions, status }: ConsumerSnapshot
): HealthCheck => {
  const details = { memberId, generationId, assigned: partitions.length }
  if (status === "Starting") return { status: "degraded", state: "joining", ready: false }
  if (status !== "Running" && status !== "Paused") return { status: "up", state: "leaving" }
  if (!isAlive) return { status: "down", state: "expired", ready: false, details }
  // Partitions that stay through a cooperative rebalance continue.
  if (!isStable) return { status: "degraded", state: "rebalancing", ready: partitions.length > 0, details }
  return { status: "up", state: "stable", details }
}

const topics = (missing: ReadonlyArray<string>): HealthCheck =>
  missing.length === 0
    ? { status: "up", state: "known" }
    : { status: "degraded", state: "missing", details: { topics: missing } }

const breakers: Readonly<Record<CircuitBreakerState, HealthCheck>> = {
  closed: { status: "up", state: "closed" },
  halfOpen: { status: "degraded", state: "halfOpen" },
  open: { status: "down", state: "open" }
}

const deadLetters = ({ blocked, limits, now, progress }: ConsumerView): HealthCheck => {
  if (blocked.length > 0) {
    const records = blocked.map(({ since, ...record }) => ({ ...record, seconds: Math.round((now - since) / 1_000) }))
    return { status: "down", state: "blocked", details: { records } }
  }
  const records = Progress.deadLettering(progress, limits)
  return records.length === 0
    ? { status: "up", state: "clear" }
    : { status: "degraded", state: "delayed", details: { records } }
}

export const checks = (view: ConsumerView): HealthChecks => {
  const { snapshot } = view
  const { circuitBreaker } = snapshot
  const mayStart = view.membership.isAlive && (circuitBreaker === undefined || circuitBreaker === "closed")
  return {
    lifecycle: lifecycle(snapshot.status, view.failure),
    brokers: ClusterHealth.check(view.reachability),
    membership: membership(view.membership, snapshot),
    retries: RetryHealth.check(view.retries),
    topics: topics(view.missingTopics),
    progress: Progress.check(view.progress, { ...view.limits, mayStart }),
    deadLetters: deadLetters(view),
    ...(circuitBreaker === undefined ? {} : { circuitBreaker: breakers[circuitBreaker] })
  }
}
