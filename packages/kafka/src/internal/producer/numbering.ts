/**
 * The numbers of a queue's batches: producer id, epoch and first sequence.
 *
 * A batch that may be written keeps its numbers until its fate is known, or until its records fail as possibly written:
 * under other numbers the broker would write it again. Only batches that are known not to be written get new numbers.
 */
import * as Sequence from "./sequence.js"
import type { Batch, Own, PartitionQueue } from "./types.js"

type OwnQueue = Own<PartitionQueue>

const ownBatch = (batch: Batch): Own<Batch> => batch as Own<Batch>

const isNumbered = (batch: Batch | undefined): boolean => batch?.numbers !== undefined

/** Whether an attempt that had no answer may have written the batch, by itself or as a part. */
export const mayBeWritten = ({ whole, written }: Batch): boolean => written !== "no" || whole !== undefined

/** Gives a departing batch the queue's next numbers, unless it has some or the queue has no sequence. */
export const assign = (queue: OwnQueue, batch: Batch): void => {
  if (queue.sequence === undefined || batch.numbers !== undefined) return
  const [numbers, next] = Sequence.number(queue.sequence, batch.entries.length)
  ownBatch(batch).numbers = numbers
  queue.sequence = next
}

/** The batch isn't written under its numbers, and gets new ones when it is sent. */
export const clear = (batch: Batch): void => {
  const own = ownBatch(batch)
  own.numbers = undefined
  own.written = "no"
  own.whole = undefined
}

/** None of the batches from a place on is written, or can be under its numbers. */
const breakOff = (queue: OwnQueue, from: number): void => {
  for (const batch of queue.batches.slice(from)) clear(batch)
  queue.hasGap = true
}

/**
 * Restarts a sequence that has a gap: under the next epoch, or under another producer id once epochs are used up. False
 * in a transaction, whose epoch the coordinator assigns: it is aborted, and sends nothing more.
 */
export const closeGap = (queue: OwnQueue): boolean => {
  const { sequence } = queue
  if (sequence?.isTransactional === true) return false
  queue.hasGap = false
  if (sequence === undefined) return true
  queue.sequence = queue.exhaustedId === sequence.producerId ? undefined : Sequence.beginAnew(sequence)
  if (queue.sequence === undefined) queue.exhaustedId = sequence.producerId
  return true
}

/** An attempt ended without an answer on whether the batch is written. */
export const unanswered = (queue: OwnQueue, batch: Batch): void => {
  // Where its numbers were cleared, it isn't.
  const isUnwritten = queue.sequence !== undefined && !isNumbered(batch)
  if (batch.written === "no" && !isUnwritten) ownBatch(batch).written = "perhaps"
}

/**
 * The broker acknowledged a batch in flight. Returns the earlier batches that this also ends: brokers write in
 * sequence, so they are written. Unless the batch was a probe, they are still sent again, for their offsets.
 */
export const acknowledged = (queue: OwnQueue, batch: Batch): ReadonlyArray<Batch> => {
  if (queue.sequence?.isEstablished === false) queue.sequence = { ...queue.sequence, isEstablished: true }
  const before = queue.batches[0] === batch ? [] : queue.batches.slice(0, queue.batches.indexOf(batch))
  const wasProbed = queue.probed === batch
  if (wasProbed) queue.probed = undefined
  else for (const one of before) if (mayBeWritten(one)) ownBatch(one).written = "yes"
  // The broker expected a part, so it has neither the whole nor a later batch.
  if (batch.whole !== undefined) for (const one of queue.batches) ownBatch(one).whole = undefined
  return wasProbed ? before : []
}

/**
 * The broker refused a batch as out of order. A new leader or a restarted broker may remember only the producer's last
 * batch. So if the oldest batch may be written, the later ones are probed before it counts as unwritten. Returns the
 * batches that must fail as possibly written.
 */
export const outOfOrder = (queue: OwnQueue, batch: Batch): ReadonlyArray<Batch> => {
  // That is expected behind a batch that will be sent again.
  if (batch !== (queue.probed ?? queue.batches[0]) || !isNumbered(batch)) return []
  const following = queue.batches[queue.batches.indexOf(batch) + 1]
  const isInDoubt = queue.probed === batch || mayBeWritten(batch)
  queue.probed = isInDoubt && isNumbered(following) ? following : undefined
  if (queue.probed !== undefined) return []
  const undecided = queue.batches.filter(({ whole, written }) => written === "undecidable" || whole !== undefined)
  queue.hasGap = true
  for (const one of queue.batches) if (!undecided.includes(one)) clear(one)
  return undecided
}

/** The broker accepts nothing more under the queue's producer id, from this batch on. */
export const fenced = (queue: OwnQueue, batch: Batch): void => {
  queue.exhaustedId = queue.sequence?.producerId
  const unwritten = queue.batches.findLastIndex(mayBeWritten) + 1
  breakOff(queue, Math.max(unwritten, queue.batches.indexOf(batch) + 1))
}

/** A batch that brokers may remember has left the queue, so a refusal as out of order proves less. */
const forsake = (queue: OwnQueue, at: number): void => {
  for (const batch of queue.batches.slice(0, at)) {
    if (batch.written === "perhaps") ownBatch(batch).written = "undecidable"
  }
}

/** The batch at a place leaves the queue without being acknowledged. */
export const givenUp = (queue: OwnQueue, at: number): void => {
  const { numbers, whole, written } = queue.batches[at]!
  if (numbers === undefined) return
  if (written !== "no") forsake(queue, at)
  else if (whole === undefined) breakOff(queue, at + 1)
  else closeUp(queue, at, whole)
}

/** The parts behind an abandoned one take its place: the broker accepts them there if it doesn't have the whole. */
const closeUp = (queue: OwnQueue, at: number, whole: Sequence.BatchNumbers): void => {
  let { numbers } = queue.batches[at]!
  for (const part of queue.batches.slice(at + 1)) {
    if (part.whole !== whole) return
    ownBatch(part).numbers = numbers
    ownBatch(part).written = "no"
    numbers = numbers && Sequence.after(numbers, part.entries.length)
  }
}

/** The batch at a place is replaced by two, which share its numbers. */
export const divided = (queue: OwnQueue, at: number, first: Batch, second: Batch): void => {
  const { numbers, whole, written } = queue.batches[at]!
  if (numbers === undefined) {
    for (const half of [first, second]) ownBatch(half).written = written
    return
  }
  ownBatch(first).numbers = numbers
  ownBatch(second).numbers = Sequence.after(numbers, first.entries.length)
  for (const half of [first, second]) {
    // Its sequence numbers are assigned, so it loses no records.
    ownBatch(half).sent = true
    ownBatch(half).whole = written === "no" ? whole : numbers
  }
  if (written !== "no") forsake(queue, at)
}
