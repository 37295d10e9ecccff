/**
 * From which broker a lane reads: its partition's leader, or for a while the replica that the leader named as nearer to
 * the consumer's rack (KIP-392). One that failed isn't tried again for as long, though the leader may go on naming it.
 */
import type { Lane } from "../lane/lane.js"

export interface ReadReplica {
  /** The node id of the replica to read from; undefined for the leader. */
  readonly of: (lane: Lane) => number | undefined
  readonly prefer: (lane: Lane, nodeId: number) => void
  /** The broker failed the lane: back to the leader, if it isn't that already; true if so. */
  readonly leave: (lane: Lane, nodeId: number) => boolean
  /** Whether a replica had better not be asked for. */
  readonly isLeft: (lane: Lane) => boolean
}

export interface Options {
  /** How long a replica is read from, or left alone, until the leader is asked again, in milliseconds. */
  readonly expiryMs: number
  /** In milliseconds. */
  readonly now: () => number
}

export const make = ({ expiryMs, now }: Options): ReadReplica => {
  const preferred = new WeakMap<Lane, { readonly nodeId: number; readonly until: number }>()
  const leftUntil = new WeakMap<Lane, number>()

  return {
    of: (lane) => {
      const found = preferred.get(lane)
      return found === undefined || found.until <= now() ? undefined : found.nodeId
    },
    prefer: (lane, nodeId) => {
      preferred.set(lane, { nodeId, until: now() + expiryMs })
    },
    leave: (lane, nodeId) => {
      if (preferred.get(lane)?.nodeId !== nodeId) return false
      preferred.delete(lane)
      leftUntil.set(lane, now() + expiryMs)
      return true
    },
    isLeft: (lane) => (leftUntil.get(lane) ?? 0) > now()
  }
}
