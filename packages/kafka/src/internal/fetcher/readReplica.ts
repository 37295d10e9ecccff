/**
 * The broker that a partition reads from: its leader, or for a while the replica that the leader names as nearer to the
 * consumer's rack (KIP-392). A replica that failed is avoided for as long, even if the leader still names it.
 */
import type { Partition } from "../lane/partition.js"

export interface ReadReplica {
  /** The node id of the replica to read from; undefined for the leader. */
  readonly of: (assigned: Partition) => number | undefined
  readonly prefer: (assigned: Partition, nodeId: number) => void
  /** The broker failed the partition: returns to the leader if the broker is a replica; true if so. */
  readonly leave: (assigned: Partition, nodeId: number) => boolean
  /** Whether the partition should avoid replicas. */
  readonly isLeft: (assigned: Partition) => boolean
}

export interface Options {
  /** How long a replica is read from, or avoided, before the leader is asked again, in milliseconds. */
  readonly expiryMs: number
  /** In milliseconds. */
  readonly now: () => number
}

export const make = ({ expiryMs, now }: Options): ReadReplica => {
  const preferred = new WeakMap<Partition, { readonly nodeId: number; readonly until: number }>()
  const leftUntil = new WeakMap<Partition, number>()

  return {
    of: (assigned) => {
      const found = preferred.get(assigned)
      return found === undefined || found.until <= now() ? undefined : found.nodeId
    },
    prefer: (assigned, nodeId) => {
      preferred.set(assigned, { nodeId, until: now() + expiryMs })
    },
    leave: (assigned, nodeId) => {
      if (preferred.get(assigned)?.nodeId !== nodeId) return false
      preferred.delete(assigned)
      leftUntil.set(assigned, now() + expiryMs)
      return true
    },
    isLeft: (assigned) => (leftUntil.get(assigned) ?? 0) > now()
  }
}
