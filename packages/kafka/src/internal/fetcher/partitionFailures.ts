/**
 * Partitions whose last fetch failed. Each waits for a delay of its own before it is asked for again, so that it delays
 * no other.
 */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type { PartitionMetadata } from "../../Protocol.js"
import { delayAfter } from "../concurrency/backoff.js"
import type { Failure, Retry } from "../concurrency/retries.js"
import type { Lane } from "../lane/lane.js"

export interface PartitionFailures {
  /** Notes a failure, and lets the lane wait. */
  readonly retry: (lane: Lane, failure: Failure) => Effect.Effect<void>
  /** Notes a failure that isn't the lane's own. */
  readonly note: (lane: Lane, failure: Failure) => Effect.Effect<void>
  readonly succeeded: (lane: Lane) => Effect.Effect<void>
  readonly dropped: (lane: Lane) => void
  /** How many milliseconds the lane must not be asked for; 0 once it has a new leader or position. */
  readonly waitMs: (lane: Lane, now: number) => number
}

type Leader = Pick<PartitionMetadata, "leader" | "leaderEpoch">

interface Waiting {
  readonly failures: number
  /** In milliseconds. */
  readonly until: number
  readonly position: number
  readonly leader: Leader | undefined
}

/** The shortest and the longest delay, in milliseconds. */
const baseMs = 50
const capMs = 1_000

/** Lanes that fail at about the same time are asked for again together: each time costs the others a request. */
const stepMs = 50

export const make = (options: {
  /** In milliseconds. */
  readonly now: () => number
  readonly leaderOf: (lane: Lane) => Leader | undefined
  readonly retryOf: (lane: Lane) => Retry
  readonly isOwned: (lane: Lane) => boolean
}): PartitionFailures => {
  const { isOwned, leaderOf, now, retryOf } = options
  const waiting = new WeakMap<Lane, Waiting>()
  const noted = new WeakSet<Lane>()

  const isOutdated = (lane: Lane, { leader, position }: Waiting): boolean => {
    const present = leaderOf(lane)
    return (
      lane.position !== position || present?.leader !== leader?.leader || present?.leaderEpoch !== leader?.leaderEpoch
    )
  }

  const note: PartitionFailures["note"] = (lane, failure) =>
    Effect.suspend(() => {
      if (!isOwned(lane)) return Effect.void
      noted.add(lane)
      return retryOf(lane).failed(failure)
    })

  return {
    note,
    retry: (lane, failure) =>
      Effect.flatMap(Random.next, (random) => {
        const failures = (waiting.get(lane)?.failures ?? 0) + 1
        const until = stepMs * Math.ceil((now() + delayAfter(failures, random, baseMs, capMs)) / stepMs)
        waiting.set(lane, { failures, until, position: lane.position, leader: leaderOf(lane) })
        return note(lane, failure)
      }),
    succeeded: (lane) => {
      waiting.delete(lane)
      return noted.delete(lane) ? retryOf(lane).succeeded : Effect.void
    },
    dropped: (lane) => {
      if (noted.delete(lane)) retryOf(lane).dropped()
    },
    waitMs: (lane, at) => {
      const found = waiting.get(lane)
      return found === undefined || isOutdated(lane, found) ? 0 : Math.max(0, found.until - at)
    }
  }
}
