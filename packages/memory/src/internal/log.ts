/**
 * The log of one partition: encoded record batches, kept as they came but for the offsets the broker stamps on them.
 */
import { KafkaErrorCode } from "@spillway/kafka/KafkaErrorCode"
import { earliestTimestamp, latestTimestamp } from "@spillway/kafka/Protocol"
import * as RecordBatch from "@spillway/kafka/RecordBatch"
import * as ProducerState from "./producerState.js"

interface StoredBatch {
  readonly bytes: Uint8Array
  readonly baseOffset: number
  readonly nextOffset: number
  readonly maxTimestamp: number
  readonly leaderEpoch: number
}

/** Changed by the functions of this file alone. */
export interface Log {
  /** The node id of the leader; -1 while there is none. */
  leader: number
  /** How often the leader has changed. */
  leaderEpoch: number
  readonly batches: Array<StoredBatch>
  /** What it knows of the producers that wrote to it. */
  producers: ProducerState.ProducerStates
  /** The first offset that may be read. */
  startOffset: number
  /** The offset of the next record. */
  endOffset: number
  /** What lies before it is replicated, and so readable and safe from the leader's end. */
  highWatermark: number
}

export const make = (leader: number): Log => ({
  leader,
  leaderEpoch: 0,
  batches: [],
  producers: new Map(),
  startOffset: 0,
  endOffset: 0,
  highWatermark: 0
})

export interface Appended {
  readonly errorCode: number
  readonly baseOffset: number
}

/** Appends one encoded batch to the leader's log, not yet replicated, or answers why a broker refuses it. */
export const append = (log: Log, bytes: Uint8Array, maxMessageBytes: number): Appended => {
  const refused = (errorCode: number): Appended => ({ errorCode, baseOffset: -1 })
  const header = RecordBatch.validate(bytes)
  if (header instanceof RecordBatch.RecordBatchError) return refused(KafkaErrorCode.CORRUPT_MESSAGE)
  const { lastOffsetDelta, maxTimestamp, recordCount, sizeInBytes } = header
  if (sizeInBytes > maxMessageBytes) return refused(KafkaErrorCode.MESSAGE_TOO_LARGE)
  if (header.isControl || recordCount < 1 || lastOffsetDelta !== recordCount - 1) {
    return refused(KafkaErrorCode.INVALID_RECORD)
  }
  const verdict = ProducerState.check(log.producers, header)
  if (verdict._tag === "Refuse") return refused(verdict.errorCode)
  if (verdict._tag === "Duplicate") return { errorCode: KafkaErrorCode.NONE, baseOffset: verdict.baseOffset }
  const baseOffset = log.endOffset
  const nextOffset = baseOffset + recordCount
  const stored = RecordBatch.withBaseOffset(bytes, baseOffset, log.leaderEpoch)
  if (RecordBatch.decode(stored).error !== undefined) return refused(KafkaErrorCode.INVALID_RECORD)
  log.batches.push({ bytes: stored, baseOffset, nextOffset, maxTimestamp, leaderEpoch: log.leaderEpoch })
  log.endOffset = nextOffset
  ProducerState.onAppended(log.producers, header, baseOffset)
  return { errorCode: KafkaErrorCode.NONE, baseOffset }
}

/** The replicas have caught up with the leader. */
export const replicate = (log: Log): void => {
  log.highWatermark = log.endOffset
}

/**
 * Another node leads from now on. What the old leader had not replicated is lost, unless it handed it over; by an unclean
 * election all from an offset on is, read or not.
 */
export const elect = (log: Log, leader: number, tail: "kept" | "lost" | number): void => {
  log.leader = leader
  if (leader === -1) return
  log.leaderEpoch++
  if (tail !== "kept") {
    log.batches.length = batchAt(log, tail === "lost" ? log.highWatermark : tail)
    log.endOffset = log.batches.at(-1)?.nextOffset ?? log.startOffset
    log.producers = producersOf(log)
  }
  replicate(log)
}

/** Where the log of an epoch ends, or of the last one before it that left records; -1 of one that it doesn't know. */
export const endOfEpoch = (log: Log, epoch: number): { readonly leaderEpoch: number; readonly endOffset: number } => {
  if (epoch > log.leaderEpoch) return { leaderEpoch: -1, endOffset: -1 }
  const leaderEpoch = log.batches.findLast((batch) => batch.leaderEpoch <= epoch)?.leaderEpoch ?? epoch
  const next = log.batches.find((batch) => batch.leaderEpoch > epoch)
  return { leaderEpoch, endOffset: next?.baseOffset ?? log.endOffset }
}

/** What the batches that are left tell, as a new leader knows it. */
const producersOf = ({ batches }: Log): ProducerState.ProducerStates => {
  const states: ProducerState.ProducerStates = new Map()
  for (const { baseOffset, bytes } of batches) {
    const header = RecordBatch.readHeader(bytes)
    if (header !== undefined && !(header instanceof RecordBatch.RecordBatchError)) {
      ProducerState.onAppended(states, header, baseOffset)
    }
  }
  return states
}

/** Deletes the records before an offset, as retention does; whole batches are freed. */
export const truncateBefore = (log: Log, offset: number): void => {
  log.startOffset = Math.max(log.startOffset, offset)
  log.batches.splice(0, batchAt(log, log.startOffset))
}

export const canRead = (log: Log, offset: number): boolean => offset >= log.startOffset && offset <= log.endOffset

/**
 * Whole replicated batches from the one that holds the offset on, while they fit into the limit; the first always, if
 * `atLeastOne`.
 */
export const read = (log: Log, offset: number, maxBytes: number, atLeastOne: boolean): ReadonlyArray<Uint8Array> => {
  const read: Array<Uint8Array> = []
  let size = 0
  for (let i = batchAt(log, offset); i < log.batches.length; i++) {
    const { bytes, nextOffset } = log.batches[i]!
    if (nextOffset > log.highWatermark) break
    size += bytes.length
    if (size > maxBytes && !(atLeastOne && read.length === 0)) break
    read.push(bytes)
  }
  return read
}

/** Every record that may be read. */
export const records = (log: Log): ReadonlyArray<RecordBatch.DecodedRecord> =>
  log.batches
    .flatMap(({ bytes }) => RecordBatch.decode(bytes).batches.flatMap((batch) => batch.records))
    .filter((record) => record.offset >= log.startOffset)

/** The first offset at or after a timestamp, -1 when no record is that late. */
export const offsetFor = (log: Log, timestamp: number): { readonly offset: number; readonly timestamp: number } => {
  if (timestamp === earliestTimestamp) return { offset: log.startOffset, timestamp: -1 }
  if (timestamp === latestTimestamp) return { offset: log.highWatermark, timestamp: -1 }
  for (const batch of log.batches) {
    if (batch.maxTimestamp < timestamp) continue
    for (const { records } of RecordBatch.decode(batch.bytes).batches) {
      const found = records.find((record) => record.timestamp >= timestamp && record.offset >= log.startOffset)
      if (found !== undefined) return { offset: found.offset, timestamp: found.timestamp }
    }
  }
  return { offset: -1, timestamp: -1 }
}

/** The index of the batch that holds an offset, or of the next one after it. */
const batchAt = (log: Log, offset: number): number => {
  let low = 0
  let high = log.batches.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (log.batches[middle]!.nextOffset > offset) high = middle
    else low = middle + 1
  }
  return low
}
