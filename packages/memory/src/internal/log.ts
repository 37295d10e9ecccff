/**
 * The log of one partition: encoded record batches, kept as they came but for the offsets the broker stamps on them.
 */
import { KafkaErrorCode } from "@spillway/kafka/KafkaErrorCode"
import { earliestTimestamp, type IsolationLevel, latestTimestamp } from "@spillway/kafka/Protocol"
import * as RecordBatch from "@spillway/kafka/RecordBatch"
import * as Transactions from "./logTransactions.js"
import * as ProducerState from "./producerState.js"

interface StoredBatch {
  readonly bytes: Uint8Array
  readonly baseOffset: number
  readonly nextOffset: number
  readonly maxTimestamp: number
  readonly leaderEpoch: number
  /** What a control batch marks. */
  readonly marker?: Transactions.Marker
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
  transactions: Transactions.LogTransactions
  /** The first offset that may be read. */
  startOffset: number
  /** The offset of the next record. */
  endOffset: number
  /** What lies before it is replicated, and so readable and safe from the leader's end. */
  highWatermark: number
  /** The records that were last asked for, until anything changes. */
  decoded: Decoded | undefined
}

interface Decoded {
  readonly isolationLevel: IsolationLevel
  readonly records: ReadonlyArray<RecordBatch.DecodedRecord>
}

export const make = (leader: number): Log => ({
  leader,
  leaderEpoch: 0,
  batches: [],
  producers: new Map(),
  transactions: Transactions.make(),
  startOffset: 0,
  endOffset: 0,
  highWatermark: 0,
  decoded: undefined
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
  if (!header.isTransactional && log.transactions.open.has(header.producerId)) {
    return refused(KafkaErrorCode.INVALID_TXN_STATE)
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
  log.decoded = undefined
  ProducerState.onAppended(log.producers, header, baseOffset)
  Transactions.onAppended(log.transactions, header, baseOffset)
  return { errorCode: KafkaErrorCode.NONE, baseOffset }
}

/** Appends the marker that ends a producer's transaction, not yet replicated. */
export const appendMarker = (
  log: Log,
  marker: Transactions.Marker,
  { producerEpoch, producerId }: { readonly producerId: bigint; readonly producerEpoch: number },
  timestamp: number
): void => {
  const { endOffset: baseOffset, leaderEpoch } = log
  const encoded = Transactions.encodeMarker(marker, producerId, producerEpoch, timestamp)
  log.batches.push({
    bytes: RecordBatch.withBaseOffset(encoded, baseOffset, leaderEpoch),
    baseOffset,
    nextOffset: baseOffset + 1,
    maxTimestamp: timestamp,
    leaderEpoch,
    marker
  })
  log.endOffset = baseOffset + 1
  log.decoded = undefined
  ProducerState.onMarker(log.producers, producerId, producerEpoch)
  Transactions.onMarker(log.transactions, producerId, marker, baseOffset)
}

/** Whether a producer's transaction has begun to be written, in the epoch of the batch. */
export const hasOpenTransaction = (log: Log, { producerEpoch, producerId }: RecordBatch.BatchHeader): boolean =>
  log.transactions.open.has(producerId) && log.producers.get(producerId)?.epoch === producerEpoch

/** Where reading ends. */
export const endFor = ({ highWatermark, transactions }: Log, isolationLevel: IsolationLevel): number =>
  isolationLevel === "read_committed" ? Transactions.lastStableOffset(transactions, highWatermark) : highWatermark

/** The replicas have caught up with the leader. */
export const replicate = (log: Log): void => {
  log.highWatermark = log.endOffset
  log.decoded = undefined
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
    restore(log)
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

/** Knows of producers and transactions what the batches that are left tell, as a new leader does. */
const restore = (log: Log): void => {
  log.producers = new Map()
  log.transactions = Transactions.make()
  for (const { baseOffset, bytes, marker } of log.batches) {
    const header = RecordBatch.readHeader(bytes)
    if (header === undefined || header instanceof RecordBatch.RecordBatchError) continue
    if (marker === undefined) {
      ProducerState.onAppended(log.producers, header, baseOffset)
      Transactions.onAppended(log.transactions, header, baseOffset)
    } else {
      ProducerState.onMarker(log.producers, header.producerId, header.producerEpoch)
      Transactions.onMarker(log.transactions, header.producerId, marker, baseOffset)
    }
  }
}

/** Deletes the records before an offset, as retention does; whole batches are freed. */
export const truncateBefore = (log: Log, offset: number): void => {
  log.startOffset = Math.max(log.startOffset, offset)
  log.batches.splice(0, batchAt(log, log.startOffset))
  log.decoded = undefined
}

export const canRead = (log: Log, offset: number): boolean => offset >= log.startOffset && offset <= log.endOffset

export interface Read {
  readonly batches: ReadonlyArray<Uint8Array>
  readonly abortedTransactions: ReadonlyArray<RecordBatch.AbortedTransaction>
}

/**
 * Whole readable batches from the one that holds the offset on, while they fit into the limit; the first always, if
 * `atLeastOne`. For who reads committed, with the aborted transactions among them.
 */
export const read = (
  log: Log,
  offset: number,
  isolationLevel: IsolationLevel,
  maxBytes: number,
  atLeastOne: boolean
): Read => {
  const batches: Array<Uint8Array> = []
  const end = endFor(log, isolationLevel)
  let size = 0
  let to = offset
  for (let i = batchAt(log, offset); i < log.batches.length; i++) {
    const { bytes, nextOffset } = log.batches[i]!
    if (nextOffset > end) break
    size += bytes.length
    if (size > maxBytes && !(atLeastOne && batches.length === 0)) break
    batches.push(bytes)
    to = nextOffset
  }
  return {
    batches,
    abortedTransactions:
      isolationLevel === "read_committed" ? Transactions.abortedBetween(log.transactions, offset, to) : []
  }
}

/** Every record that is there to be read. */
export const records = (log: Log, isolationLevel: IsolationLevel): ReadonlyArray<RecordBatch.DecodedRecord> => {
  if (log.decoded?.isolationLevel === isolationLevel) return log.decoded.records
  const { abortedTransactions, batches } = read(log, log.startOffset, isolationLevel, Number.POSITIVE_INFINITY, true)
  const records = RecordBatch.decode(concat(batches), { abortedTransactions })
    .batches.flatMap((batch) => batch.records)
    .filter((record) => record.offset >= log.startOffset)
  log.decoded = { isolationLevel, records }
  return records
}

/** How many records are there to be read by who reads committed. */
export const count = (log: Log): number =>
  log.batches.some(({ marker }) => marker !== undefined) || log.transactions.open.size > 0
    ? records(log, "read_committed").length
    : log.endOffset - log.startOffset

export const concat = (parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  if (parts.length === 1) return parts[0]!
  const all = new Uint8Array(parts.reduce((size, part) => size + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}

/** The first offset at or after a timestamp, -1 when no record is that late. */
export const offsetFor = (
  log: Log,
  timestamp: number,
  isolationLevel: IsolationLevel
): { readonly offset: number; readonly timestamp: number } => {
  if (timestamp === earliestTimestamp) return { offset: log.startOffset, timestamp: -1 }
  if (timestamp === latestTimestamp) return { offset: endFor(log, isolationLevel), timestamp: -1 }
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
