/**
 * Whether the assigned partitions make progress: how long each has had work and settled nothing, and how long its lane
 * has been in the same step. Pure: given a snapshot once a second.
 */

import type { HealthCheck, HealthStatus } from "@spillway/transport/Health"
import type { PartitionSnapshot } from "@spillway/transport/runtime/ConsumerSnapshot"

/** The interval of observations, in milliseconds. */
export const intervalMs = 1_000

/** The most time that one observation counts for, so that a frozen process reports nothing as stalled. */
const longestStepMs = 2 * intervalMs

interface Tracked {
  readonly snapshot: PartitionSnapshot
  /** How long it has had work and settled nothing, in milliseconds. */
  readonly unsettledMs: number
  /** How long it has been in the same step, in milliseconds. */
  readonly stepMs: number
}

/** The result of the observations up to `at`. */
export interface Progress {
  readonly at: number
  readonly partitions: ReadonlyMap<string, Tracked>
}

export const start = (now: number): Progress => ({ at: now, partitions: new Map() })

/** Adds an observation. */
export const look = (before: Progress, snapshots: ReadonlyArray<PartitionSnapshot>, now: number): Progress => {
  const elapsed = Math.min(Math.max(0, now - before.at), longestStepMs)
  return {
    at: now,
    partitions: new Map(
      snapshots.map((snapshot) => {
        const key = `${snapshot.topic}/${snapshot.partition}`
        const last = before.partitions.get(key)
        const isSame = last !== undefined && last.snapshot.settledTo === snapshot.settledTo && hasWork(snapshot)
        return [
          key,
          {
            snapshot,
            unsettledMs: isSame ? last.unsettledMs + elapsed : 0,
            stepMs: isSame && last.snapshot.steps === snapshot.steps ? last.stepMs + elapsed : 0
          }
        ]
      })
    )
  }
}

/** A paused partition only finishes its record in flight. */
const hasWork = ({ activity, paused }: PartitionSnapshot): boolean =>
  activity !== "idle" && !(activity === "queued" && paused)

export interface Limits {
  readonly stalledAfterMs: number
  readonly handlerTimeoutMs: number
  /** Whether records may start: not while the session has expired or the circuit breaker is open. */
  readonly mayStart: boolean
}

/**
 * - `stuck`: the handler can't be interrupted
 * - `stalled`: the handler runs for longer than the threshold
 * - `retrying`: the record fails again and again
 */
type Problem = "stuck" | "stalled" | "retrying"

const statuses: Readonly<Record<Problem, HealthStatus>> = { stuck: "down", stalled: "down", retrying: "degraded" }

/** The watchdog interrupts within a fifth more than `handlerTimeout`; a handler that still runs then never ends. */
const stuckAfter = (handlerTimeoutMs: number): number => handlerTimeoutMs * 1.2 + longestStepMs

const problemOf = ({ snapshot, stepMs, unsettledMs }: Tracked, limits: Limits): Problem | undefined => {
  const { activity } = snapshot
  if (activity === "handling" && stepMs > stuckAfter(limits.handlerTimeoutMs)) return "stuck"
  if (unsettledMs <= limits.stalledAfterMs || activity === "deadLettering") return undefined
  if (activity === "queued" || activity === "waiting") {
    if (!limits.mayStart) return undefined
    return activity === "queued" ? "stalled" : "retrying"
  }
  return stepMs > limits.stalledAfterMs ? "stalled" : "retrying"
}

/** Partitions whose record has waited for longer than the threshold for its dead letter. */
export const deadLettering = (progress: Progress, { stalledAfterMs }: Pick<Limits, "stalledAfterMs">) =>
  Array.from(progress.partitions.values()).flatMap(({ snapshot, stepMs }) =>
    snapshot.activity === "deadLettering" && stepMs > stalledAfterMs
      ? [{ ...placeOf(snapshot), seconds: Math.round(stepMs / 1_000) }]
      : []
  )

/** The most partitions that a report names. */
const named = 20

const placeOf = ({ partition, settledTo, topic }: PartitionSnapshot) => ({ topic, partition, offset: settledTo })

export const check = (progress: Progress, limits: Limits): HealthCheck => {
  const tracked = Array.from(progress.partitions.values())
  const affected = tracked.flatMap((one) => {
    const problem = problemOf(one, limits)
    return problem === undefined ? [] : [{ problem, ...one }]
  })
  if (affected.length === 0) {
    return { status: "up", state: tracked.some(({ snapshot }) => hasWork(snapshot)) ? "working" : "idle" }
  }
  const worst = (["stuck", "stalled", "retrying"] as const).find((state) =>
    affected.some(({ problem }) => problem === state)
  )!
  return {
    status: statuses[worst],
    state: worst,
    live: worst !== "stuck",
    details: {
      count: affected.length,
      lanes: affected.slice(0, named).map(({ snapshot, problem, unsettledMs }) => ({
        ...placeOf(snapshot),
        state: problem,
        seconds: Math.round(unsettledMs / 1_000)
      }))
    }
  }
}
