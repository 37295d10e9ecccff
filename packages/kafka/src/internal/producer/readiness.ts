/**
 * Whether a queue's batches may be sent, and under which producer id, epoch and sequence, so that none is written
 * twice.
 */
import type * as Effect from "effect/Effect"
import type { Cluster } from "../cluster/cluster.js"
import type { Failure } from "./decisions.js"
import * as PartitionQueue from "./partitionQueue.js"
import * as PendingSend from "./pendingSend.js"
import type { Transmit } from "./ports.js"
import * as ProducerIds from "./producerId.js"

export interface Readiness {
  /** null outside of transactions. */
  readonly transactionalId: string | null
  /** Gives the queue a sequence if it needs one; false if it must wait until `transmit` wakes or rejects it. */
  readonly mayLeave: (queue: PartitionQueue.PartitionQueue, transmit: Transmit) => boolean
  /** Forgets an idle queue with its sequence, if that is safe; true if so. Later batches start a new sequence. */
  readonly forget: (queue: PartitionQueue.PartitionQueue) => boolean
}

/** Batches may always be sent. */
export const free: Readiness = { transactionalId: null, mayLeave: () => true, forget: () => true }

/** Batches are sent once the producer has an id (KIP-98). */
export const idempotent = (options: {
  readonly cluster: Cluster
  readonly run: (effect: Effect.Effect<void>) => void
}): Readiness => {
  /** Queues that wait for the producer's identity. */
  const anonymous = new Set<PartitionQueue.PartitionQueue>()

  const producerIds = ProducerIds.make({
    ...options,
    onRetry: (failure) => {
      for (const { batches } of anonymous)
        for (const { entries } of batches) for (const { send } of entries) PendingSend.retrying(send, failure)
    }
  })

  const onIdentity = (failure: Failure | undefined, transmit: Transmit): void => {
    const queues = [...anonymous]
    anonymous.clear()
    if (failure !== undefined) for (const queue of queues) transmit.rejectAll(queue, failure)
    transmit.wake(queues)
  }

  return {
    ...free,
    forget: ({ sequence, exhaustedId }) => {
      if (exhaustedId !== undefined) producerIds.retire(exhaustedId)
      if (sequence !== undefined) producerIds.forget(sequence)
      return true
    },
    mayLeave: (queue, transmit) => {
      if (queue.sequence !== undefined) return true
      if (queue.exhaustedId !== undefined) producerIds.retire(queue.exhaustedId)
      const identity = producerIds.current()
      if (identity !== undefined) {
        PartitionQueue.beginSequence(queue, identity)
        return true
      }
      anonymous.add(queue)
      if (anonymous.size === 1) producerIds.request((failure) => onIdentity(failure, transmit))
      return false
    }
  }
}
