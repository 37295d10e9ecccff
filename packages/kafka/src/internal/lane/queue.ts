/**
 * What was fetched for a lane and hasn't started yet, in order. Its bytes count in the buffer of the whole consumer.
 */
import type { DecodedRecord } from "../../RecordBatch.js"
import type * as Signal from "../concurrency/signal.js"
import type * as Ledger from "./ledger.js"

/** Bytes of fetched batches that are not yet handled, and the signal that a lane has room again. */
export interface Buffer {
  bytes: number
  readonly room: Signal.Signal
}

export interface Chunk {
  readonly records: ReadonlyArray<DecodedRecord>
  readonly bytes: number
  /** Milliseconds of the monotonic clock. */
  readonly fetchedAt: number
  /** The ledger they were added to: a seek begins another. */
  readonly ledger: Ledger.Ledger
  next: number
}

export interface Queue {
  readonly buffer: Buffer
  /** A lane under this many records is fetched for. */
  readonly maxRecords: number
  readonly chunks: Array<Chunk>
  records: number
  bytes: number
}

export const make = (buffer: Buffer, maxRecords: number): Queue => ({
  buffer,
  maxRecords,
  chunks: [],
  records: 0,
  bytes: 0
})

export const push = (queue: Queue, chunk: Omit<Chunk, "next">): void => {
  queue.chunks.push({ ...chunk, next: 0 })
  queue.records += chunk.records.length
  queue.bytes += chunk.bytes
  queue.buffer.bytes += chunk.bytes
}

/** Whether there is nothing to take; gives back the bytes of chunks that are used up. */
export const isEmpty = (queue: Queue): boolean => {
  for (let chunk = queue.chunks[0]; chunk !== undefined; chunk = queue.chunks[0]) {
    if (chunk.next < chunk.records.length) return false
    queue.chunks.shift()
    queue.bytes -= chunk.bytes
    queue.buffer.bytes -= chunk.bytes
    queue.buffer.room.notify()
  }
  return true
}

/** When the first record was fetched; `undefined` when there is none. */
export const oldestFetchedAt = (queue: Queue): number | undefined =>
  queue.chunks.find((chunk) => chunk.next < chunk.records.length)?.fetchedAt

/** The chunk whose record at `next - 1` is the one taken; the queue must not be empty. */
export const take = (queue: Queue): Chunk => {
  const chunk = queue.chunks[0]!
  chunk.next++
  queue.records--
  if (queue.records === queue.maxRecords - 1) queue.buffer.room.notify()
  return chunk
}

/** Undoes the last `take`, if the queue wasn't cleared meanwhile. */
export const putBack = (queue: Queue, chunk: Chunk): void => {
  if (queue.chunks[0] !== chunk) return
  chunk.next--
  queue.records++
}

export const clear = (queue: Queue): void => {
  queue.buffer.bytes -= queue.bytes
  queue.bytes = 0
  queue.records = 0
  queue.chunks.length = 0
  queue.buffer.room.notify()
}
