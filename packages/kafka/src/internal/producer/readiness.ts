/**
 * Whether a lane's batches may leave, and under which producer id, epoch and sequence: by what keeps them from being
 * written twice.
 */
import type * as Effect from "effect/Effect"
import type { Cluster } from "../cluster/cluster.js"
import type { Failure } from "./decisions.js"
import type { Lane } from "./partitionQueue.js"
import * as Identity from "./producerId.js"
import * as Sequence from "./sequence.js"

export interface Admission {
  /** null outside of transactions. */
  readonly transactionalId: string | null
  /** Gives the lane a sequence if it needs one; false when it has to wait, until it is woken. */
  readonly admit: (lane: Lane) => boolean
  /** Whether an idle lane may be forgotten, with its sequence; if so, it is, and what comes later is no part of it. */
  readonly forget: (lane: Lane) => boolean
  /** A record that may have been written, or its broker refused, has failed. */
  readonly onFailed: (failure: Failure) => void
}

/** What an admission does to lanes that waited for it. */
export interface Gate {
  readonly wake: (lanes: ReadonlyArray<Lane>) => void
  readonly rejectAll: (lane: Lane, failure: Failure) => void
}

/** Batches leave as they come. */
export const free: Admission = { transactionalId: null, admit: () => true, forget: () => true, onFailed: () => {} }

/** Batches leave once the producer has an id (KIP-98). */
export const idempotent = (options: {
  readonly cluster: Cluster
  readonly run: (effect: Effect.Effect<void>) => void
  readonly gate: Gate
}): Admission => {
  const { gate } = options
  /** Lanes that wait for the producer's identity. */
  const anonymous = new Set<Lane>()

  const identities = Identity.make({
    ...options,
    onTrouble: (failure) => {
      for (const { batches } of anonymous)
        for (const { entries } of batches) for (const { call } of entries) call.trouble = failure
    }
  })

  const onIdentity = (failure: Failure | undefined): void => {
    const lanes = [...anonymous]
    anonymous.clear()
    if (failure !== undefined) for (const lane of lanes) gate.rejectAll(lane, failure)
    gate.wake(lanes)
  }

  return {
    ...free,
    forget: ({ sequence, spentId }) => {
      if (spentId !== undefined) identities.retire(spentId)
      if (sequence !== undefined) identities.forget(sequence)
      return true
    },
    admit: (lane) => {
      if (lane.sequence !== undefined) return true
      if (lane.spentId !== undefined) identities.retire(lane.spentId)
      const identity = identities.current()
      if (identity !== undefined) {
        lane.sequence = Sequence.begin(identity)
        return true
      }
      anonymous.add(lane)
      if (anonymous.size === 1) identities.request(onIdentity)
      return false
    }
  }
}
