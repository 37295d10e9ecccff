/**
 * The two ports between the parts of a producer: those that have records to send call `Transmit`, which the sender
 * implements; the sender reports through `Done`, which is made before both, so each part is made with what it calls.
 */
import type { Failure } from "./decisions.js"
import type { Batch, PartitionQueue } from "./types.js"

export interface Transmit {
  /** Sends the queues' batches that may be sent now. */
  readonly wake: (queues: ReadonlyArray<PartitionQueue>) => void
  /** Fails all batches of a queue. */
  readonly rejectAll: (queue: PartitionQueue, failure: Failure) => void
  /** Whether the queue could be sent for at once, with no request in flight to its broker. */
  readonly isIdle: (queue: PartitionQueue) => boolean
}

export interface Completions {
  /** A batch has its results and leaves its queue. */
  readonly ended: (batch: Batch) => void
  /** A queue's pause is over. */
  readonly resumed: (queue: PartitionQueue) => void
  /** A broker has no request in flight. */
  readonly idle: () => void
  /** A record that a broker refused or may have written has failed. */
  readonly failed: (failure: Failure) => void
}

export interface Done extends Completions {
  /** Calls the listener's functions from now on, after those of the listeners before it. */
  readonly listen: (listener: Partial<Completions>) => void
}

export const makeDone = (): Done => {
  const listeners: Array<Partial<Completions>> = []
  return {
    ended: (batch) => {
      for (const listener of listeners) listener.ended?.(batch)
    },
    resumed: (queue) => {
      for (const listener of listeners) listener.resumed?.(queue)
    },
    idle: () => {
      for (const listener of listeners) listener.idle?.()
    },
    failed: (failure) => {
      for (const listener of listeners) listener.failed?.(failure)
    },
    listen: (listener) => {
      listeners.push(listener)
    }
  }
}
