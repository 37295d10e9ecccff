/**
 * The records on their way to one partition: batches in order, first those in flight, last the one that still fills.
 */
import * as RecordBatch from "../../RecordBatch.js"
import * as Backoff from "../concurrency/backoff.js"
import * as Sequence from "./sequence.js"
import type { Batch, Entry, Lane } from "./types.js"

export type { Batch, Lane }

export const make = (topic: string, partition: number, maxBytes: number): Lane => ({
  topic,
  partition,
  batches: [],
  inFlight: 0,
  trouble: undefined,
  sequence: undefined,
  spentId: undefined,
  mustRenumber: false,
  probing: 0,
  nodeId: -1,
  isOffered: false,
  maxBytes,
  unknownSince: undefined,
  backoff: Backoff.make()
})

const makeBatch = (lane: Lane, entries: Array<Entry>, ready: boolean): Batch => {
  const batch: Batch = {
    lane,
    entries,
    withdrawn: 0,
    bytes: 0,
    ready,
    inFlight: false,
    sent: false,
    attempts: 0,
    stamp: undefined,
    baseSequence: undefined
  }
  batch.bytes = entries.reduce((sum, entry) => sum + entry.size, RecordBatch.batchOverhead)
  for (const entry of entries) entry.batch = batch
  return batch
}

/** Opens a new batch at the end of the lane. */
export const open = (lane: Lane): Batch => {
  const batch = makeBatch(lane, [], false)
  lane.batches.push(batch)
  return batch
}

export const hasRoom = (batch: Batch, entry: Entry, maxRecords: number): boolean =>
  batch.entries.length === 0 || (batch.bytes + entry.size <= batch.lane.maxBytes && recordCount(batch) < maxRecords)

export const add = (batch: Batch, entry: Entry): void => {
  entry.batch = batch
  batch.entries.push(entry)
  batch.bytes += entry.size
}

/** How many records the batch holds that were not withdrawn. */
export const recordCount = (batch: Batch): number => batch.entries.length - batch.withdrawn

export const remove = (batch: Batch): void => {
  const { batches } = batch.lane
  const at = batches.indexOf(batch)
  if (at >= 0) batches.splice(at, 1)
}

const compact = (batch: Batch): void => {
  batch.entries = batch.entries.filter((entry) => !entry.settled)
  batch.withdrawn = 0
  if (batch.entries.length === 0) remove(batch)
}

/** Takes a settled entry out of a batch that has not left yet. */
export const withdraw = (batch: Batch, entry: Entry): void => {
  batch.bytes -= entry.size
  batch.withdrawn++
  // Batches that fill for long don't pile up what nobody waits for.
  if (batch.withdrawn * 2 > batch.entries.length) compact(batch)
}

/** In a transaction what was refused makes place for what follows, under the same epoch: nothing of it was written. */
const renumberFromSplit = ({ batches }: Lane, sequence: Sequence.Sequence): Sequence.Sequence => {
  const from = batches.findIndex(({ stamp }) => stamp === undefined)
  for (const batch of batches.slice(from)) batch.stamp = undefined
  return { ...sequence, next: batches[from]?.baseSequence ?? sequence.next }
}

const renumber = (lane: Lane): void => {
  lane.mustRenumber = false
  if (lane.sequence?.isTransactional === true) {
    lane.sequence = renumberFromSplit(lane, lane.sequence)
    return
  }
  for (const batch of lane.batches) batch.stamp = undefined
  if (lane.sequence === undefined) return
  const { producerId } = lane.sequence
  lane.sequence = Sequence.beginAnew(lane.sequence)
  if (lane.sequence === undefined) lane.spentId = producerId
}

/**
 * The most batches in flight: one, so that none overtakes another, unless the broker keeps their order by their
 * sequence, as it does once it has seen one.
 */
const maxInFlight = ({ sequence }: Lane): number => (sequence?.isEstablished === true ? 5 : 1)

const wasSent = (batch: Batch | undefined): boolean => batch?.stamp !== undefined

/** The broker says that a batch is out of order. */
export const refuse = (batch: Batch): void => {
  const { lane } = batch
  const at = lane.batches.indexOf(batch)
  // Behind one that is to be sent again, that is to be expected.
  if (at !== lane.probing) return
  lane.probing = (at > 0 || batch.attempts > 1) && wasSent(lane.batches[at + 1]) ? at + 1 : 0
  lane.mustRenumber = lane.probing === 0
}

/** The batch to send next, if there is one that may be sent now. */
export const next = (lane: Lane): Batch | undefined => {
  if (lane.trouble !== undefined) return undefined
  if (lane.probing > 0) {
    if (lane.inFlight > 0) return undefined
    const probed = lane.batches[lane.probing]
    if (wasSent(probed)) return probed
    lane.probing = 0
  }
  if (lane.mustRenumber && lane.inFlight === 0) renumber(lane)
  if (lane.mustRenumber || lane.inFlight >= maxInFlight(lane)) return undefined
  while (true) {
    const { batches, inFlight } = lane
    const batch = batches[inFlight]
    // A batch that isn't the last is full.
    if (batch === undefined || !(batch.ready || batch.sent || inFlight + 1 < batches.length)) return undefined
    if (batch.withdrawn > 0) compact(batch)
    if (batch.entries.length > 0) return batch
  }
}

/** Moves a batch in flight to a broker, numbered where the lane has a sequence. */
export const take = (batch: Batch, nodeId: number): void => {
  const { lane } = batch
  batch.inFlight = true
  batch.sent = true
  batch.attempts++
  lane.inFlight++
  lane.nodeId = nodeId
  if (lane.sequence === undefined || batch.stamp !== undefined) return
  const [stamp, next] = Sequence.stamp(lane.sequence, batch.entries.length)
  batch.stamp = stamp
  lane.sequence = next
}

/** A batch has come back, with whatever result. */
export const land = (batch: Batch): void => {
  batch.inFlight = false
  batch.lane.inFlight--
}

/** The broker refused a batch for good: those after it are out of order, unless it was written by an attempt before. */
export const skip = ({ attempts, lane, stamp }: Batch): void => {
  if (stamp !== undefined && attempts === 1) lane.mustRenumber = true
}

/** The broker takes nothing more under the lane's producer id. */
export const fence = (lane: Lane): void => {
  lane.spentId = lane.sequence?.producerId
  lane.sequence = undefined
  lane.mustRenumber = true
  lane.probing = 0
}

/** The partition is another cluster's: what may have been written in the one before is numbered from the start. */
export const move = (lane: Lane): void => {
  lane.sequence = undefined
  lane.spentId = undefined
  lane.mustRenumber = true
  lane.probing = 0
  for (const batch of lane.batches) batch.attempts = 0
}

/** Whether it holds nothing, and nothing that is under way concerns it. */
export const isIdle = ({ batches, inFlight, isOffered, trouble }: Lane): boolean =>
  batches.length === 0 && inFlight === 0 && !isOffered && trouble === undefined

/** Replaces a batch that was refused by its halves; false when it is one record that is refused. */
export const split = (batch: Batch): boolean => {
  const { entries, lane } = batch
  if (entries.length < 2) return false
  const middle = Math.ceil(entries.length / 2)
  const halves = [makeBatch(lane, entries.slice(0, middle), true), makeBatch(lane, entries.slice(middle), true)]
  halves[0]!.baseSequence = batch.stamp?.baseSequence
  lane.batches.splice(lane.batches.indexOf(batch), 1, ...halves)
  if (batch.stamp !== undefined) lane.mustRenumber = true
  return true
}

/**
 * Forgets all that it was about to send; nothing may be in flight. Its sequence begins anew only under another epoch: else
 * the broker would take what comes for what it has already.
 */
export const reset = (lane: Lane, isNewEpoch: boolean): void => {
  lane.batches = []
  lane.trouble = undefined
  lane.probing = 0
  recovered(lane)
  if (!isNewEpoch) return
  lane.sequence = undefined
  lane.spentId = undefined
  lane.mustRenumber = false
}

/** The broker answered for good: the lane is as good as new. */
export const recovered = (lane: Lane): void => {
  lane.unknownSince = undefined
  lane.backoff.reset()
}
