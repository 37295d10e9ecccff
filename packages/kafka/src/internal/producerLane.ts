/**
 * The records on their way to one partition: one batch in flight, the others queued behind it in order.
 */
import * as RecordBatch from "../RecordBatch.js"
import * as Backoff from "./backoff.js"
import { type Entry, isOpen } from "./producerCall.js"

export interface Lane {
  readonly topic: string
  readonly partition: number
  queue: Array<Entry>
  /** The records in flight. */
  batch: ReadonlyArray<Entry>
  /** True from when there is something to send until all of it has its result. */
  busy: boolean
  /** Shrinks when the broker finds a batch too large. */
  maxBytes: number
  /** Shrinks to single out a record that the broker refuses, then grows back. */
  maxRecords: number
  /** When the cluster first said that it doesn't know the partition; milliseconds of the monotonic clock. */
  unknownSince: number | undefined
  readonly backoff: Backoff.Backoff
}

export const make = (topic: string, partition: number, maxBytes: number): Lane => ({
  topic,
  partition,
  queue: [],
  batch: [],
  busy: false,
  maxBytes,
  maxRecords: Number.POSITIVE_INFINITY,
  unknownSince: undefined,
  backoff: Backoff.make()
})

/**
 * Moves the next batch in flight, as much as fits, without what nobody waits for any more; returns its bytes at most,
 * 0 when nothing is left to send.
 */
export const take = (lane: Lane): number => {
  const batch: Array<Entry> = []
  let bytes = RecordBatch.batchOverhead
  let taken = 0
  for (; taken < lane.queue.length; taken++) {
    const entry = lane.queue[taken]!
    if (!isOpen(entry)) continue
    const full = bytes + entry.size > lane.maxBytes || batch.length >= lane.maxRecords
    if (full && batch.length > 0) break
    bytes += entry.size
    batch.push(entry)
  }
  lane.queue.splice(0, taken)
  lane.batch = batch
  return batch.length === 0 ? 0 : bytes
}

/** Puts the batch in flight back to the head of the queue. */
export const putBack = (lane: Lane): void => {
  lane.queue = [...lane.batch, ...lane.queue]
  lane.batch = []
}

/** What to try next after the broker found the batch too large: halves. False when there is nothing to split. */
export const splitBytes = (lane: Lane): boolean => {
  if (lane.batch.length < 2) return false
  const bytes = lane.batch.reduce((sum, entry) => sum + entry.size, RecordBatch.batchOverhead)
  lane.maxBytes = Math.min(lane.maxBytes, Math.ceil(bytes / 2))
  return true
}

/** What to try next after the broker refused a record of the batch: halves. False when that record stands alone. */
export const splitRecords = (lane: Lane): boolean => {
  if (lane.batch.length < 2) return false
  lane.maxRecords = Math.ceil(lane.batch.length / 2)
  return true
}

/** The batch has its results: the lane is as good as new. */
export const settled = (lane: Lane): void => {
  lane.batch = []
  lane.unknownSince = undefined
  lane.maxRecords = lane.maxRecords * 2
  lane.backoff.reset()
}
