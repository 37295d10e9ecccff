/**
 * Partitions whose last fetch failed. Each waits for its own delay before it is fetched again, so it doesn't delay the
 * others.
 */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type { PartitionMetadata } from "../../Protocol.js"
import { delayAfter } from "../concurrency/backoff.js"
import type { Failure, Retry } from "../concurrency/retries.js"
import type { Partition } from "../lane/partition.js"

export interface PartitionBackoff {
  /** Records a failure, and delays the partition's next fetch. */
  readonly retry: (assigned: Partition, failure: Failure) => Effect.Effect<void>
  /** Records a failure of the whole request, without a delay. `since`: when it was sent, in monotonic milliseconds. */
  readonly note: (assigned: Partition, failure: Failure, since?: number) => Effect.Effect<void>
  readonly succeeded: (assigned: Partition) => Effect.Effect<void>
  readonly dropped: (assigned: Partition) => void
  /** For how many milliseconds the partition must not be fetched; 0 once it has a new leader or position. */
  readonly waitMs: (assigned: Partition, now: number) => number
}

type Leader = Pick<PartitionMetadata, "leader" | "leaderEpoch">

interface Delayed {
  readonly failures: number
  /** In milliseconds. */
  readonly until: number
  readonly position: number
  readonly leader: Leader | undefined
}

/** The shortest and the longest delay, in milliseconds. */
const baseMs = 50
const capMs = 1_000

/** Partitions that fail at about the same time are retried together, since each retry costs the others a request. */
const stepMs = 50

export const make = (options: {
  /** In milliseconds. */
  readonly now: () => number
  readonly leaderOf: (assigned: Partition) => Leader | undefined
  readonly retryOf: (assigned: Partition) => Retry
  readonly isOwned: (assigned: Partition) => boolean
}): PartitionBackoff => {
  const { isOwned, leaderOf, now, retryOf } = options
  const delayed = new WeakMap<Partition, Delayed>()
  const noted = new WeakSet<Partition>()

  const isOutdated = (assigned: Partition, { leader, position }: Delayed): boolean => {
    const present = leaderOf(assigned)
    return (
      assigned.position !== position ||
      present?.leader !== leader?.leader ||
      present?.leaderEpoch !== leader?.leaderEpoch
    )
  }

  const note: PartitionBackoff["note"] = (assigned, failure, since) =>
    Effect.suspend(() => {
      if (!isOwned(assigned)) return Effect.void
      noted.add(assigned)
      return retryOf(assigned).failed(failure, since)
    })

  return {
    note,
    retry: (assigned, failure) =>
      Effect.flatMap(Random.next, (random) => {
        const failures = (delayed.get(assigned)?.failures ?? 0) + 1
        const until = stepMs * Math.ceil((now() + delayAfter(failures, random, baseMs, capMs)) / stepMs)
        delayed.set(assigned, { failures, until, position: assigned.position, leader: leaderOf(assigned) })
        return note(assigned, failure)
      }),
    succeeded: (assigned) => {
      delayed.delete(assigned)
      return noted.delete(assigned) ? retryOf(assigned).succeeded : Effect.void
    },
    dropped: (assigned) => {
      if (noted.delete(assigned)) retryOf(assigned).dropped()
    },
    waitMs: (assigned, at) => {
      const found = delayed.get(assigned)
      return found === undefined || isOutdated(assigned, found) ? 0 : Math.max(0, found.until - at)
    }
  }
}
