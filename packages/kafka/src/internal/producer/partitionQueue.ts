/**
 * The state machine of a partition's batches: which may be sent now, and the reaction to each result. Together with
 * `numbering.ts`, which numbers them, it alone writes queues and batches.
 */
import * as RecordBatch from "../../RecordBatch.js"
import * as Backoff from "../concurrency/backoff.js"
import type { Failure, Verdict } from "./decisions.js"
import * as Numbering from "./numbering.js"
import * as Sequence from "./sequence.js"
import type { Batch, Entry, Own, PartitionQueue, Retry } from "./types.js"

export type { Batch, PartitionQueue, Retry }

type OwnQueue = Own<PartitionQueue>

const ownQueue = (queue: PartitionQueue): OwnQueue => queue as OwnQueue
const ownBatch = (batch: Batch): Own<Batch> => batch as Own<Batch>

export const make = (topic: string, partition: number, maxBytes: number): PartitionQueue => ({
  topic,
  partition,
  batches: [],
  inFlight: 0,
  retrying: undefined,
  sequence: undefined,
  exhaustedId: undefined,
  hasGap: false,
  probed: undefined,
  nodeId: -1,
  isOffered: false,
  maxBytes,
  unknownSince: undefined,
  backoff: Backoff.make()
})

const makeBatch = (queue: PartitionQueue, entries: ReadonlyArray<Entry>, ready: boolean): Batch => {
  const batch: Batch = {
    queue,
    entries,
    withdrawn: 0,
    bytes: entries.reduce((sum, entry) => sum + entry.size, RecordBatch.batchOverhead),
    ready,
    sent: false,
    inFlight: false,
    numbers: undefined,
    written: "no",
    whole: undefined
  }
  for (const entry of entries) (entry as Own<Entry>).batch = batch
  return batch
}

/** Opens a new batch at the end of the queue. */
export const open = (queue: PartitionQueue): Batch => {
  const batch = makeBatch(queue, [], false)
  ownQueue(queue).batches.push(batch)
  return batch
}

export const hasRoom = (batch: Batch, entry: Entry, maxRecords: number): boolean =>
  batch.entries.length === 0 || (batch.bytes + entry.size <= batch.queue.maxBytes && recordCount(batch) < maxRecords)

export const add = (batch: Batch, entry: Entry): void => {
  const own = ownBatch(batch)
  ;(entry as Own<Entry>).batch = batch
  own.entries.push(entry)
  own.bytes += entry.size
}

/** The batch may be sent before it is full. */
export const setReady = (batch: Batch): void => {
  ownBatch(batch).ready = true
}

/** The number of records in the batch that were not withdrawn. */
export const recordCount = (batch: Batch): number => batch.entries.length - batch.withdrawn

/** Removes the batch from its queue. */
export const remove = (batch: Batch): void => {
  const queue = ownQueue(batch.queue)
  const at = queue.batches.indexOf(batch)
  if (at >= 0) queue.batches.splice(at, 1)
  if (queue.probed === batch) queue.probed = undefined
}

/** Releases the batch's records; it must have been removed. */
export const clear = (batch: Batch): void => {
  ownBatch(batch).entries = []
}

const compact = (batch: Batch): void => {
  const own = ownBatch(batch)
  own.entries = own.entries.filter((entry) => !entry.settled)
  own.withdrawn = 0
  if (own.entries.length === 0) remove(batch)
}

/** Removes a settled entry from a batch that has not been sent. */
export const withdraw = (batch: Batch, entry: Entry): void => {
  const own = ownBatch(batch)
  own.bytes -= entry.size
  own.withdrawn++
  // A batch that fills slowly would accumulate withdrawn entries.
  if (own.withdrawn * 2 > own.entries.length) compact(batch)
}

/** The queue waits for its turn in a request. */
export const offer = (queue: PartitionQueue): void => {
  ownQueue(queue).isOffered = true
}

/** It is the queue's turn in a request. */
export const endOffer = (queue: PartitionQueue): void => {
  ownQueue(queue).isOffered = false
}

/** Starts the sequence of its batches. */
export const beginSequence = (queue: PartitionQueue, identity: Sequence.ProducerIdAndEpoch): void => {
  ownQueue(queue).sequence = Sequence.begin(identity)
}

/**
 * The most batches in flight: one, so that none overtakes another, unless the broker keeps their order by their
 * sequence, as it does once it has seen one.
 */
const maxInFlight = ({ sequence }: PartitionQueue): number => (sequence?.isEstablished === true ? 5 : 1)

/** Whether the batches in flight come first in the queue; not so behind a batch that was split. */
const isNextInOrder = ({ batches, inFlight }: PartitionQueue): boolean => {
  for (let at = 0; at < inFlight; at++) if (batches[at]?.inFlight !== true) return false
  return true
}

/** The batch to send next, if one may be sent now. */
export const next = (queue: PartitionQueue): Batch | undefined => {
  const own = ownQueue(queue)
  if (own.retrying !== undefined) return undefined
  if (own.probed !== undefined) return own.inFlight > 0 ? undefined : own.probed
  if (own.inFlight >= maxInFlight(own) || !isNextInOrder(own)) return undefined
  while (true) {
    const { batches, inFlight } = own
    const batch = batches[inFlight]
    // A batch that isn't the last is full.
    if (batch === undefined || !(batch.ready || batch.sent || inFlight + 1 < batches.length)) return undefined
    if (batch.withdrawn > 0) compact(batch)
    if (batch.entries.length === 0) continue
    // Another epoch starts once all batches of the previous one have their results.
    if (own.hasGap && batch.numbers === undefined && (inFlight > 0 || !Numbering.closeGap(own))) return undefined
    return batch
  }
}

/**
 * Whether a batch can be dropped because all of its callers were interrupted or have failed. Once numbered, it is still
 * sent again, because the broker's answer also decides on the batches before it.
 */
export const isAbandoned = (batch: Batch): boolean =>
  batch.entries.every((entry) => entry.settled) && (batch.numbers === undefined || batch.queue.batches[0] === batch)

/** Moves a batch in flight to a broker, numbered if the queue has a sequence. */
export const take = (batch: Batch, nodeId: number): void => {
  const own = ownBatch(batch)
  const queue = ownQueue(batch.queue)
  own.sent = true
  own.inFlight = true
  queue.inFlight++
  queue.nodeId = nodeId
  Numbering.assign(queue, batch)
}

const landed = (batch: Batch): OwnQueue => {
  const queue = ownQueue(batch.queue)
  ownBatch(batch).inFlight = false
  queue.inFlight--
  return queue
}

/** The broker acknowledged a batch in flight. Returns the batches that now have their results, in order. */
export const acknowledged = (batch: Batch): ReadonlyArray<Batch> => {
  const queue = landed(batch)
  recovered(queue)
  return [...Numbering.acknowledged(queue, batch), batch]
}

/** The reaction to a batch's failure. */
export type Reaction =
  /** The queue pauses, then its batches are sent again. */
  | { readonly _tag: "Pause"; readonly retry: Retry }
  /** The records of these batches fail. */
  | { readonly _tag: "Reject"; readonly batches: ReadonlyArray<Batch>; readonly failure: Failure }
  /** The batch was replaced by its halves. */
  | { readonly _tag: "Split" }
  /** It is known to be written, by an earlier attempt. */
  | { readonly _tag: "Written" }

/** A batch in flight has failed. */
export const failed = (batch: Batch, verdict: Verdict, isTransactional: boolean): Reaction => {
  const queue = landed(batch)
  if (verdict._tag === "Retry") {
    Numbering.unanswered(queue, batch)
    return { _tag: "Pause", retry: verdict }
  }
  const { failure } = verdict
  if (failure.reason === "Fenced") Numbering.fenced(queue, batch)
  // A transaction is aborted by any failure.
  if (batch.written === "yes" && !isTransactional) return { _tag: "Written" }
  const reject: Reaction = { _tag: "Reject", batches: [batch], failure }
  switch (verdict._tag) {
    case "OutOfOrder": {
      if (queue.batches[0] === batch && isTransactional) return reject
      const batches = Numbering.outOfOrder(queue, batch)
      if (batches.length > 0) return { ...reject, batches }
      return { _tag: "Pause", retry: { _tag: "Retry", failure, unknownTopic: false } }
    }
    case "TooLarge":
      queue.maxBytes = Math.min(queue.maxBytes, Math.max(RecordBatch.batchOverhead, Math.ceil(batch.bytes / 2)))
      return split(queue, batch) ? { _tag: "Split" } : reject
    case "BadRecord":
      return split(queue, batch) ? { _tag: "Split" } : reject
    case "Fail":
      return reject
  }
}

/** Replaces a refused batch by its halves; false if it is a single record. */
const split = (queue: OwnQueue, batch: Batch): boolean => {
  const { entries } = batch
  if (entries.length < 2) return false
  const middle = Math.ceil(entries.length / 2)
  const first = makeBatch(queue, entries.slice(0, middle), true)
  const second = makeBatch(queue, entries.slice(middle), true)
  const at = queue.batches.indexOf(batch)
  Numbering.divided(queue, at, first, second)
  remove(batch)
  queue.batches.splice(at, 0, first, second)
  return true
}

/** Removes a batch from the queue that isn't acknowledged and won't be sent again. */
export const reject = (batch: Batch): void => {
  Numbering.givenUp(ownQueue(batch.queue), batch.queue.batches.indexOf(batch))
  remove(batch)
}

/**
 * Sends nothing until `resume`. Returns `Waiting` while batches are in flight, whose results must come first,
 * `GivenUp` when the partition has been unknown for too long, else `Due`.
 */
export const pause = (
  queue: PartitionQueue,
  retry: Retry,
  now: number,
  unknownTopicTimeoutMs: number
): "Waiting" | "Due" | "GivenUp" => {
  const own = ownQueue(queue)
  own.retrying = retry
  if (own.inFlight > 0) return "Waiting"
  own.unknownSince = retry.unknownTopic ? (own.unknownSince ?? now) : undefined
  return own.unknownSince !== undefined && now - own.unknownSince >= unknownTopicTimeoutMs ? "GivenUp" : "Due"
}

export const resume = (queue: PartitionQueue): void => {
  ownQueue(queue).retrying = undefined
}

/** The broker gave a final answer: the queue forgets its failures. */
export const recovered = (queue: PartitionQueue): void => {
  ownQueue(queue).unknownSince = undefined
  queue.backoff.reset()
}

/** The partition is in another cluster now: batches that the previous one may have written get new numbers. */
export const moved = (queue: PartitionQueue): void => {
  const own = ownQueue(queue)
  own.sequence = undefined
  own.exhaustedId = undefined
  own.hasGap = false
  own.probed = undefined
  for (const batch of own.batches) Numbering.clear(batch)
}

/** Whether it is empty, and no pending operation concerns it. */
export const isIdle = ({ batches, inFlight, isOffered, retrying }: PartitionQueue): boolean =>
  batches.length === 0 && inFlight === 0 && !isOffered && retrying === undefined

/**
 * Drops all unsent batches; none may be in flight. Its sequence restarts only under another epoch: otherwise the broker
 * would take new batches for duplicates.
 */
export const reset = (queue: PartitionQueue, isNewEpoch: boolean): void => {
  const own = ownQueue(queue)
  own.batches = []
  own.retrying = undefined
  recovered(own)
  own.probed = undefined
  if (!isNewEpoch) return
  own.sequence = undefined
  own.exhaustedId = undefined
  own.hasGap = false
}
