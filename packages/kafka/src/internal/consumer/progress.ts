/**
 * Whether the lanes get on: how long each has settled nothing though it had work, and how long it has been at the same
 * thing. Pure: looked at once a second.
 */
import type { LaneSnapshot } from "@spillway/transport/ConsumerSnapshot"
import type { HealthCheck, HealthStatus } from "@spillway/transport/Health"

/** How often the lanes are looked at, in milliseconds. */
export const intervalMs = 1_000

/** A look that comes late counts as no more than this, so that a process that was frozen blames no lane. */
const longestStepMs = 2 * intervalMs

interface Tracked {
  readonly lane: LaneSnapshot
  /** For how long it has had work and settled nothing, in milliseconds. */
  readonly unsettledMs: number
  /** For how long it has been at the same thing, in milliseconds. */
  readonly stepMs: number
}

/** What the looks up to `at` have shown. */
export interface Progress {
  readonly at: number
  readonly lanes: ReadonlyMap<string, Tracked>
}

export const start = (now: number): Progress => ({ at: now, lanes: new Map() })

/** One more look. */
export const look = (before: Progress, lanes: ReadonlyArray<LaneSnapshot>, now: number): Progress => {
  const elapsed = Math.min(Math.max(0, now - before.at), longestStepMs)
  return {
    at: now,
    lanes: new Map(
      lanes.map((lane) => {
        const key = `${lane.topic}/${lane.partition}`
        const last = before.lanes.get(key)
        const isSame = last !== undefined && last.lane.settledTo === lane.settledTo && hasWork(lane)
        return [
          key,
          {
            lane,
            unsettledMs: isSame ? last.unsettledMs + elapsed : 0,
            stepMs: isSame && last.lane.steps === lane.steps ? last.stepMs + elapsed : 0
          }
        ]
      })
    )
  }
}

/** A paused lane has nothing to do but finish what is in flight. */
const hasWork = ({ activity, paused }: LaneSnapshot): boolean =>
  activity !== "idle" && !(activity === "queued" && paused)

export interface Limits {
  readonly stalledAfterMs: number
  readonly handlerTimeoutMs: number
  /** Whether lanes may start records: not while the session has expired or the circuit breaker is open. */
  readonly mayStart: boolean
}

/**
 * - `stuck`: the handler can't be interrupted
 * - `stalled`: the handler runs for longer than the threshold
 * - `retrying`: the record fails again and again
 */
type Trouble = "stuck" | "stalled" | "retrying"

const statuses: Readonly<Record<Trouble, HealthStatus>> = { stuck: "down", stalled: "down", retrying: "degraded" }

/** The watchdog interrupts within a fifth more than `handlerTimeout`; a handler that still runs then never ends. */
const stuckAfter = (handlerTimeoutMs: number): number => handlerTimeoutMs * 1.2 + longestStepMs

const troubleOf = ({ lane, stepMs, unsettledMs }: Tracked, limits: Limits): Trouble | undefined => {
  const { activity } = lane
  if (activity === "handling" && stepMs > stuckAfter(limits.handlerTimeoutMs)) return "stuck"
  if (unsettledMs <= limits.stalledAfterMs || activity === "deadLettering") return undefined
  if (activity === "queued" || activity === "waiting") {
    if (!limits.mayStart) return undefined
    return activity === "queued" ? "stalled" : "retrying"
  }
  return stepMs > limits.stalledAfterMs ? "stalled" : "retrying"
}

/** Lanes whose record has waited for longer than the threshold for its dead letter. */
export const deadLettering = (progress: Progress, { stalledAfterMs }: Pick<Limits, "stalledAfterMs">) =>
  Array.from(progress.lanes.values()).flatMap(({ lane, stepMs }) =>
    lane.activity === "deadLettering" && stepMs > stalledAfterMs
      ? [{ topic: lane.topic, partition: lane.partition, offset: lane.settledTo, seconds: Math.round(stepMs / 1_000) }]
      : []
  )

/** So many lanes are named. */
const named = 20

export const check = (progress: Progress, limits: Limits): HealthCheck => {
  const tracked = Array.from(progress.lanes.values())
  const troubled = tracked.flatMap((one) => {
    const trouble = troubleOf(one, limits)
    return trouble === undefined ? [] : [{ trouble, ...one }]
  })
  if (troubled.length === 0) {
    return { status: "up", state: tracked.some(({ lane }) => hasWork(lane)) ? "working" : "idle" }
  }
  const worst = (["stuck", "stalled", "retrying"] as const).find((state) =>
    troubled.some(({ trouble }) => trouble === state)
  )!
  return {
    status: statuses[worst],
    state: worst,
    live: worst !== "stuck",
    details: {
      count: troubled.length,
      lanes: troubled.slice(0, named).map(({ lane, trouble, unsettledMs }) => ({
        topic: lane.topic,
        partition: lane.partition,
        offset: lane.settledTo,
        state: trouble,
        seconds: Math.round(unsettledMs / 1_000)
      }))
    }
  }
}
