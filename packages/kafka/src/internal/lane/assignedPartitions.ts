/**
 * The partitions that are assigned to a consumer: the one registry that assignment, fetcher, committer, seeks and
 * health read.
 */
import type { Partition } from "./partition.js"

/** Learns of added and removed partitions. */
export interface Follower {
  readonly onAdded: (partition: Partition) => void
  /** It needs no more fetches: it was closed, or isn't assigned any more. May be called twice for a partition. */
  readonly onClosed: (partition: Partition) => void
}

export interface AssignedPartitions {
  readonly all: ReadonlySet<Partition>
  /** Whether it is assigned and starts records. */
  readonly isOpen: (partition: Partition) => boolean
  readonly add: (partition: Partition) => void
  /** Closes it; it stays assigned, so that its settled records can be committed. */
  readonly close: (partition: Partition) => void
  /** Closes all of them, which are never committed again. */
  readonly abandonAll: () => void
  readonly remove: (partition: Partition) => void
  /** Lets every partition check again whether it may start a record, starting with a different one each time. */
  readonly wake: () => void
  readonly follow: (follower: Follower) => void
}

export const make = (): AssignedPartitions => {
  const all = new Set<Partition>()
  const followers: Array<Follower> = []
  let wakes = 0

  const closed = (partition: Partition): void => {
    for (const { onClosed } of followers) onClosed(partition)
  }

  return {
    all,
    isOpen: (partition) => partition.isOpen() && all.has(partition),
    add: (partition) => {
      all.add(partition)
      for (const { onAdded } of followers) onAdded(partition)
    },
    close: (partition) => {
      partition.close()
      closed(partition)
    },
    abandonAll: () => {
      for (const partition of all) {
        partition.abandon()
        closed(partition)
      }
    },
    remove: (partition) => {
      all.delete(partition)
      closed(partition)
    },
    wake: () => {
      const partitions = Array.from(all)
      const first = wakes++
      for (let i = 0; i < partitions.length; i++) partitions[(first + i) % partitions.length]!.wake()
    },
    follow: (follower) => {
      followers.push(follower)
    }
  }
}
