/**
 * The log of one partition: encoded record batches, unchanged except for the offsets that the broker stamps on them.
 */
import { KafkaErrorCode } from "@spillway/kafka/KafkaErrorCode"
import { earliestTimestamp, type IsolationLevel, latestTimestamp } from "@spillway/kafka/Protocol"
import * as RecordBatch from "@spillway/kafka/RecordBatch"
import { concat } from "@spillway/transport/runtime/Bytes"
import * as Transactions from "./logTransactions.js"
import * as ProducerState from "./producerState.js"

interface StoredBatch {
  readonly bytes: Uint8Array
  readonly baseOffset: number
  readonly nextOffset: number
  readonly maxTimestamp: number
  readonly leaderEpoch: number
  /** The marker that a control batch holds. */
  readonly marker?: Transactions.Marker
}

/** Changed only by the functions of this file. */
export interface Log {
  /** The node id of the leader; -1 while there is none. */
  leader: number
  /** The leader epoch: the number of leader changes. */
  leaderEpoch: number
  readonly batches: Array<StoredBatch>
  /** The state of the producers that wrote to it. */
  producers: ProducerState.ProducerStates
  transactions: Transactions.LogTransactions
  /** The first offset that may be read. */
  startOffset: number
  /** The offset of the next record. */
  endOffset: number
  /** Records before it are replicated: they are readable and survive the leader's failure. */
  highWatermark: number
  /** A cache of the last read of all records, until anything changes. */
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

/** Appends one encoded batch to the leader's log, not yet replicated, or returns the error code of the refusal. */
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

/** Whether a producer's transaction has begun to be written, in the batch's epoch. */
export const hasOpenTransaction = (log: Log, { producerEpoch, producerId }: RecordBatch.BatchHeader): boolean =>
  log.transactions.open.has(producerId) && log.producers.get(producerId)?.epoch === producerEpoch

/** The offset at which reading ends. */
export const endFor = ({ highWatermark, transactions }: Log, isolationLevel: IsolationLevel): number =>
  isolationLevel === "read_committed" ? Transactions.lastStableOffset(transactions, highWatermark) : highWatermark

/** The replicas catch up with the leader. */
export const replicate = (log: Log): void => {
  log.highWatermark = log.endOffset
  log.decoded = undefined
}

/**
 * Another node becomes the leader. Records that the old leader had not replicated are lost, unless it handed them over.
 * An unclean election also loses everything from an offset on, whether it was read or not.
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

/** The end offset of an epoch's log, or of the last earlier epoch with records; -1 for an unknown epoch. */
export const endOfEpoch = (log: Log, epoch: number): { readonly leaderEpoch: number; readonly endOffset: number } => {
  if (epoch > log.leaderEpoch) return { leaderEpoch: -1, endOffset: -1 }
  const leaderEpoch = log.batches.findLast((batch) => batch.leaderEpoch <= epoch)?.leaderEpoch ?? epoch
  const next = log.batches.find((batch) => batch.leaderEpoch > epoch)
  return { leaderEpoch, endOffset: next?.baseOffset ?? log.endOffset }
}

/** Rebuilds the state of producers and transactions from the remaining batches, as a new leader does. */
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

/** Deletes the records before an offset, as retention does. Whole batches are freed. */
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
 * Whole readable batches from the one that holds the offset, while they fit into the limit; the first always, if
 * `atLeastOne`. With read committed it includes the aborted transactions among them.
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

/** All records that can be read. */
export const records = (log: Log, isolationLevel: IsolationLevel): ReadonlyArray<RecordBatch.DecodedRecord> => {
  if (log.decoded?.isolationLevel === isolationLevel) return log.decoded.records
  const { abortedTransactions, batches } = read(log, log.startOffset, isolationLevel, Number.POSITIVE_INFINITY, true)
  const records = RecordBatch.decode(concat(batches), { abortedTransactions })
    .batches.flatMap((batch) => batch.records)
    .filter((record) => record.offset >= log.startOffset)
  log.decoded = { isolationLevel, records }
  return records
}

/** The number of records that a read-committed consumer can read. */
export const count = (log: Log): number =>
  log.batches.some(({ marker }) => marker !== undefined) || log.transactions.open.size > 0
    ? records(log, "read_committed").length
    : log.endOffset - log.startOffset

/** The first offset at or after a timestamp, or -1 when no record is that late. */
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

/** The index of the batch that holds an offset, or of the next batch after it. */
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
