/**
 * The fetched records of a lane that haven't started, in order. Their bytes count in the buffer of the whole consumer.
 */
import type { DecodedRecord } from "../../RecordBatch.js"
import * as Signal from "../concurrency/signal.js"
import type { Unpacking } from "../recordBatch/unpack.js"
import type * as Ledger from "./ledger.js"

/** The buffer for the fetched records of one consumer's lanes, and the lanes that wait for room in it. */
export interface Buffer {
  readonly maxBytes: number
  /** An equal share for each lane; otherwise a blocked lane could fill the buffer and block the others. */
  share: number
  /** All bytes in it. */
  bytes: number
  /** The bytes of unpacked records and of their decoders, among these. */
  unpacked: number
  /** The bytes of unpacked records, among these. */
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

/** Whether a slice may be unpacked. If only packed bytes fill the buffer, waiting for room would never end. */
export const mayUnpack = (buffer: Buffer): boolean => buffer.unpacked < buffer.maxBytes || buffer.queued === 0

const released = (buffer: Buffer): void => {
  buffer.room.notify()
  if (buffer.waiting.size === 0 || !mayUnpack(buffer)) return
  const waiting = Array.from(buffer.waiting)
  buffer.waiting.clear()
  for (const wake of waiting) wake()
}

/** Fetched bytes that aren't unpacked yet. */
export interface Fetched {
  readonly unpacking: Unpacking
  /** The bytes that it unpacks. */
  readonly bytes: number
  /** Milliseconds of the monotonic clock. */
  readonly fetchedAt: number
}

export interface Chunk {
  /** Emptied when used up, because others may retain the chunk. */
  records: ReadonlyArray<DecodedRecord>
  readonly bytes: number
  /** Milliseconds of the monotonic clock. */
  readonly fetchedAt: number
  /** The ledger that they were added to: a seek starts a new one. */
  readonly ledger: Ledger.Ledger
  next: number
}

export interface Queue {
  readonly buffer: Buffer
  /** A lane under this many records is fetched for. */
  readonly maxRecords: number
  readonly chunks: Array<Chunk>
  /** Unpacks more fetched bytes, if there are any and there is room; true when it has queued a record. */
  readonly unpack: () => boolean
  records: number
  /** The bytes of chunks. */
  bytes: number
  fetched: Fetched | undefined
  /** The bytes of its decoder. */
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

/** Sets the fetched bytes that are held beside the chunks, or none; called again when some were unpacked. */
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

/** Counts the bytes of added chunks or, below zero, removed ones. */
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

/** The same, at the front of the queue. */
export const pushFirst = (queue: Queue, chunk: Omit<Chunk, "next">): void => {
  push(queue, chunk)
  queue.chunks.unshift(queue.chunks.pop()!)
}

/** Whether the queue is empty; releases the bytes of used-up chunks, and unpacks more. */
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

/** The chunk whose record at `next - 1` was taken; the queue must not be empty. */
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
