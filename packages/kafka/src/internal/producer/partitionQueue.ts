/**
 * The state machine of a partition's batches: which may be sent now, under which numbers, and what follows each result.
 * Nothing else writes queues and batches.
 */
import * as RecordBatch from "../../RecordBatch.js"
import * as Backoff from "../concurrency/backoff.js"
import type { Failure, Verdict } from "./decisions.js"
import * as Sequence from "./sequence.js"
import type { Batch, Entry, Numbering, Own, PartitionQueue, Retry } from "./types.js"

export type { Batch, PartitionQueue, Retry }

type OwnQueue = Own<PartitionQueue>
type OwnBatch = Own<Batch>

const ownQueue = (queue: PartitionQueue): OwnQueue => queue as OwnQueue
const ownBatch = (batch: Batch): OwnBatch => batch as OwnBatch

const inOrder: Numbering = { _tag: "InOrder" }
const mustRenumber: Numbering = { _tag: "Renumber" }

export const make = (topic: string, partition: number, maxBytes: number): PartitionQueue => ({
  topic,
  partition,
  batches: [],
  inFlight: 0,
  retrying: undefined,
  sequence: undefined,
  exhaustedId: undefined,
  numbering: inOrder,
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
    attempts: 0,
    numbers: undefined,
    baseSequence: undefined
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

/** How many records the batch holds that were not withdrawn. */
export const recordCount = (batch: Batch): number => batch.entries.length - batch.withdrawn

/** Takes the batch out of its queue. */
export const remove = (batch: Batch): void => {
  const { batches } = ownQueue(batch.queue)
  const at = batches.indexOf(batch)
  if (at >= 0) batches.splice(at, 1)
}

/** Lets go of the batch's records; it must have been removed. */
export const clear = (batch: Batch): void => {
  ownBatch(batch).entries = []
}

const compact = (batch: Batch): void => {
  const own = ownBatch(batch)
  own.entries = own.entries.filter((entry) => !entry.settled)
  own.withdrawn = 0
  if (own.entries.length === 0) remove(batch)
}

/** Takes a settled entry out of a batch that has not been sent. */
export const withdraw = (batch: Batch, entry: Entry): void => {
  const own = ownBatch(batch)
  own.bytes -= entry.size
  own.withdrawn++
  // A batch that fills for long would pile up withdrawn entries.
  if (own.withdrawn * 2 > own.entries.length) compact(batch)
}

/** The queue waits for its turn in a request. */
export const offer = (queue: PartitionQueue): void => {
  ownQueue(queue).isOffered = true
}

/** The queue's turn in a request has come. */
export const endOffer = (queue: PartitionQueue): void => {
  ownQueue(queue).isOffered = false
}

/** Begins the sequence that its batches are numbered by. */
export const beginSequence = (queue: PartitionQueue, identity: Sequence.ProducerIdAndEpoch): void => {
  ownQueue(queue).sequence = Sequence.begin(identity)
}

/** In a transaction what was refused makes place for what follows, under the same epoch: none of it was written. */
const renumberFromSplit = (queue: OwnQueue, sequence: Sequence.Sequence): void => {
  const from = queue.batches.findIndex(({ numbers }) => numbers === undefined)
  for (const batch of queue.batches.slice(from)) ownBatch(batch).numbers = undefined
  queue.sequence = { ...sequence, next: queue.batches[from]?.baseSequence ?? sequence.next }
}

const renumber = (queue: OwnQueue): void => {
  const { sequence } = queue
  queue.numbering = inOrder
  if (sequence?.isTransactional === true) {
    renumberFromSplit(queue, sequence)
    return
  }
  for (const batch of queue.batches) ownBatch(batch).numbers = undefined
  if (sequence === undefined) return
  queue.sequence = Sequence.beginAnew(sequence)
  if (queue.sequence === undefined) queue.exhaustedId = sequence.producerId
}

/**
 * The most batches in flight: one, so that none overtakes another, unless the broker keeps their order by their
 * sequence, as it does once it has seen one.
 */
const maxInFlight = ({ sequence }: PartitionQueue): number => (sequence?.isEstablished === true ? 5 : 1)

const isNumbered = (batch: Batch | undefined): boolean => batch?.numbers !== undefined

/** The batch to send next, if one may be sent now. */
export const next = (queue: PartitionQueue): Batch | undefined => {
  const own = ownQueue(queue)
  if (own.retrying !== undefined) return undefined
  if (own.numbering._tag !== "InOrder") {
    if (own.inFlight > 0) return undefined
    if (own.numbering._tag === "Renumber") renumber(own)
    else {
      const probed = own.batches[own.numbering.at]
      if (isNumbered(probed)) return probed
      own.numbering = inOrder
    }
  }
  if (own.inFlight >= maxInFlight(own)) return undefined
  while (true) {
    const { batches, inFlight } = own
    const batch = batches[inFlight]
    // A batch that isn't the last is full.
    if (batch === undefined || !(batch.ready || batch.sent || inFlight + 1 < batches.length)) return undefined
    if (batch.withdrawn > 0) compact(batch)
    if (batch.entries.length > 0) return batch
  }
}

/** Moves a batch in flight to a broker, numbered where the queue has a sequence. */
export const take = (batch: Batch, nodeId: number): void => {
  const own = ownBatch(batch)
  const queue = ownQueue(batch.queue)
  own.sent = true
  own.attempts++
  queue.inFlight++
  queue.nodeId = nodeId
  if (queue.sequence === undefined || own.numbers !== undefined) return
  const [numbers, next] = Sequence.number(queue.sequence, own.entries.length)
  own.numbers = numbers
  queue.sequence = next
}

/**
 * The broker acknowledged a batch in flight. Returns the batches that are written by it, in their order: where it was
 * probed those before it too, since brokers write in sequence.
 */
export const acknowledged = (batch: Batch): ReadonlyArray<Batch> => {
  const queue = ownQueue(batch.queue)
  queue.inFlight--
  recovered(queue)
  if (queue.sequence?.isEstablished === false) queue.sequence = { ...queue.sequence, isEstablished: true }
  if (queue.numbering._tag !== "Probe") return [batch]
  const written = [...queue.batches.slice(0, queue.numbering.at), batch]
  queue.numbering = inOrder
  return written
}

/** What follows a batch's failure. */
export type Reaction =
  /** The queue pauses, then its batches are sent again. */
  | { readonly _tag: "Pause"; readonly retry: Retry }
  /** The batch's records fail. */
  | { readonly _tag: "Reject"; readonly failure: Failure }
  /** The batch was replaced by its halves. */
  | { readonly _tag: "Split" }

/** A batch in flight has failed. */
export const failed = (batch: Batch, verdict: Verdict, isTransactional: boolean): Reaction => {
  const queue = ownQueue(batch.queue)
  const { failure } = verdict
  queue.inFlight--
  switch (verdict._tag) {
    case "Retry":
      return { _tag: "Pause", retry: verdict }
    case "OutOfOrder":
      if (queue.batches[0] === batch && isTransactional) return { _tag: "Reject", failure }
      outOfOrder(queue, batch)
      return { _tag: "Pause", retry: { _tag: "Retry", failure, unknownTopic: false } }
    case "TooLarge":
      queue.maxBytes = Math.min(queue.maxBytes, Math.max(RecordBatch.batchOverhead, Math.ceil(batch.bytes / 2)))
      return split(batch) ? { _tag: "Split" } : { _tag: "Reject", failure }
    case "BadRecord":
      return split(batch) ? { _tag: "Split" } : { _tag: "Reject", failure }
    case "Fail":
      if (failure.reason === "Fenced") fenced(queue)
      return { _tag: "Reject", failure }
  }
}

const outOfOrder = (queue: OwnQueue, batch: Batch): void => {
  const at = queue.batches.indexOf(batch)
  // Behind one that is to be sent again, that is to be expected.
  if (at !== (queue.numbering._tag === "Probe" ? queue.numbering.at : 0)) return
  const mayBeWritten = at > 0 || batch.attempts > 1
  queue.numbering = mayBeWritten && isNumbered(queue.batches[at + 1]) ? { _tag: "Probe", at: at + 1 } : mustRenumber
}

/** The broker takes nothing more under the queue's producer id. */
const fenced = (queue: OwnQueue): void => {
  queue.exhaustedId = queue.sequence?.producerId
  queue.sequence = undefined
  queue.numbering = mustRenumber
}

/** Replaces a batch that was refused by its halves; false when it is one record that is refused. */
const split = (batch: Batch): boolean => {
  const { entries, numbers } = batch
  const queue = ownQueue(batch.queue)
  if (entries.length < 2) return false
  const middle = Math.ceil(entries.length / 2)
  const halves = [makeBatch(queue, entries.slice(0, middle), true), makeBatch(queue, entries.slice(middle), true)]
  ownBatch(halves[0]!).baseSequence = numbers?.baseSequence
  queue.batches.splice(queue.batches.indexOf(batch), 1, ...halves)
  if (numbers !== undefined) queue.numbering = mustRenumber
  return true
}

/**
 * Takes a batch whose records fail out of the queue. Those after it are out of order, unless it was written by an
 * attempt before.
 */
export const reject = (batch: Batch): void => {
  if (batch.numbers !== undefined && batch.attempts === 1) ownQueue(batch.queue).numbering = mustRenumber
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

/** The broker answered for good: the queue forgets its failures. */
export const recovered = (queue: PartitionQueue): void => {
  ownQueue(queue).unknownSince = undefined
  queue.backoff.reset()
}

/** The partition is another cluster's: what may have been written in the one before is numbered from the start. */
export const moved = (queue: PartitionQueue): void => {
  const own = ownQueue(queue)
  own.sequence = undefined
  own.exhaustedId = undefined
  own.numbering = mustRenumber
  for (const batch of own.batches) ownBatch(batch).attempts = 0
}

/** Whether it holds nothing, and nothing that is under way concerns it. */
export const isIdle = ({ batches, inFlight, isOffered, retrying }: PartitionQueue): boolean =>
  batches.length === 0 && inFlight === 0 && !isOffered && retrying === undefined

/**
 * Forgets all that it was about to send; nothing may be in flight. Its sequence begins again only under another epoch:
 * else the broker would take what comes for what it has already.
 */
export const reset = (queue: PartitionQueue, isNewEpoch: boolean): void => {
  const own = ownQueue(queue)
  own.batches = []
  own.retrying = undefined
  recovered(own)
  if (own.numbering._tag === "Probe") own.numbering = inOrder
  if (!isNewEpoch) return
  own.sequence = undefined
  own.exhaustedId = undefined
  own.numbering = inOrder
}
