/**
 * What was fetched for a lane and hasn't started yet, in order. Its bytes count in the buffer of the whole consumer.
 */
import type { DecodedRecord } from "../../RecordBatch.js"
import * as Signal from "../concurrency/signal.js"
import type { Unpacking } from "../recordBatch/unpack.js"
import type * as Ledger from "./ledger.js"

/** What the lanes of one consumer hold of fetched records, and who waits for room there. */
export interface Buffer {
  readonly maxBytes: number
  /** An equal share for each lane, or one that is held up would hold up the others with all the bytes it waits on. */
  share: number
  /** All bytes that are held. */
  bytes: number
  /** Of those, the bytes of unpacked records and of what unpacks them. */
  unpacked: number
  /** Of those, the bytes of unpacked records. */
  queued: number
  /** Notified when there may be room for more. */
  readonly room: Signal.Signal
  /** Called when there is room to unpack. */
  readonly waiting: Set<() => void>
}

export const makeBuffer = (maxBytes: number): Buffer => ({
  maxBytes,
  share: maxBytes,
  bytes: 0,
  unpacked: 0,
  queued: 0,
  room: Signal.make(),
  waiting: new Set()
})

/** Whether a slice may be unpacked. What is held without a record in it alone would be waited for in vain. */
export const mayUnpack = (buffer: Buffer): boolean => buffer.unpacked < buffer.maxBytes || buffer.queued === 0

const released = (buffer: Buffer): void => {
  buffer.room.notify()
  if (buffer.waiting.size === 0 || !mayUnpack(buffer)) return
  const waiting = Array.from(buffer.waiting)
  buffer.waiting.clear()
  for (const wake of waiting) wake()
}

/** What was fetched and isn't unpacked yet. */
export interface Fetched {
  readonly unpacking: Unpacking
  /** The bytes that it unpacks. */
  readonly bytes: number
  /** Milliseconds of the monotonic clock. */
  readonly fetchedAt: number
}

export interface Chunk {
  /** Emptied when they are used up, for others may hold on to the chunk. */
  records: ReadonlyArray<DecodedRecord>
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
  /** Unpacks more of what was fetched, if there is more and room for it; true when it has queued a record. */
  readonly unpack: () => boolean
  records: number
  /** The bytes of chunks. */
  bytes: number
  fetched: Fetched | undefined
  /** The bytes of what unpacks it. */
  state: number
}

export const make = (buffer: Buffer, maxRecords: number, unpack: () => boolean): Queue => ({
  buffer,
  maxRecords,
  chunks: [],
  unpack,
  records: 0,
  bytes: 0,
  fetched: undefined,
  state: 0
})

/** Holds what was fetched, or nothing more of it, beside the chunks; called again when some of it was unpacked. */
export const setFetched = (queue: Queue, fetched: Fetched | undefined): void => {
  const { buffer } = queue
  const state = fetched?.unpacking.heldBytes() ?? 0
  const more = (fetched?.bytes ?? 0) - (queue.fetched?.bytes ?? 0)
  buffer.unpacked += state - queue.state
  buffer.bytes += more + state - queue.state
  const isLess = more < 0 || state < queue.state
  queue.fetched = fetched
  queue.state = state
  if (isLess) released(buffer)
}

/** Counts the bytes of chunks that come or, below zero, go. */
const count = (queue: Queue, bytes: number): void => {
  const { buffer } = queue
  queue.bytes += bytes
  buffer.bytes += bytes
  buffer.unpacked += bytes
  buffer.queued += bytes
  if (bytes < 0) released(buffer)
}

export const push = (queue: Queue, chunk: Omit<Chunk, "next">): void => {
  queue.chunks.push({ ...chunk, next: 0 })
  queue.records += chunk.records.length
  count(queue, chunk.bytes)
}

/** The same, to be taken before all that waits. */
export const pushFirst = (queue: Queue, chunk: Omit<Chunk, "next">): void => {
  push(queue, chunk)
  queue.chunks.unshift(queue.chunks.pop()!)
}

/** Whether there is nothing to take; gives back the bytes of chunks that are used up, and unpacks more. */
export const isEmpty = (queue: Queue): boolean => {
  for (let chunk = queue.chunks[0]; chunk !== undefined; chunk = queue.chunks[0]) {
    if (chunk.next < chunk.records.length) return false
    queue.chunks.shift()
    chunk.records = []
    count(queue, -chunk.bytes)
  }
  return queue.fetched === undefined || !queue.unpack()
}

/** When the first record was fetched; `undefined` when there is none. */
export const oldestFetchedAt = (queue: Queue): number | undefined =>
  queue.chunks.find((chunk) => chunk.next < chunk.records.length)?.fetchedAt ?? queue.fetched?.fetchedAt

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
  if (!queue.chunks.includes(chunk)) return
  chunk.next--
  queue.records++
}

export const clear = (queue: Queue): void => {
  queue.records = 0
  queue.chunks.length = 0
  count(queue, -queue.bytes)
  setFetched(queue, undefined)
}
