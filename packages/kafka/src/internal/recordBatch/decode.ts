/**
 * Decoding: whole batches, checked, each copied once out of the response so that the response isn't kept alive.
 */

import * as Aborted from "./aborted.js"
import { codec, names } from "./compression.js"
import { RecordBatchError } from "./error.js"
import * as Layout from "./layout.js"
import { type Source, scanAll } from "./scan.js"
import type { AbortedTransaction, BatchHeader, Decoded, DecodedBatch, DecodedRecord } from "./types.js"

const noBytes = new Uint8Array(0)

const batchOf = (
  header: BatchHeader,
  isAborted: boolean,
  sizeInBytes: number,
  records: DecodedBatch["records"]
): DecodedBatch => ({
  baseOffset: header.baseOffset,
  nextOffset: header.nextOffset,
  partitionLeaderEpoch: header.partitionLeaderEpoch,
  producerId: header.producerId,
  isTransactional: header.isTransactional,
  isControl: header.isControl,
  isAborted,
  sizeInBytes,
  records
})

/** A copy of the batch's records, decompressed. */
export const recordBytes = (bytes: Uint8Array, at: number, header: BatchHeader, maxBytes: number) => {
  const fail = (reason: RecordBatchError["reason"], description: string, cause?: unknown) =>
    new RecordBatchError({ reason, baseOffset: header.baseOffset, description, cause })
  const payload = bytes.subarray(at + Layout.At.records, at + header.sizeInBytes)
  // Compaction leaves the compression bits of a batch that it has emptied, without a payload.
  if (header.recordCount === 0 && payload.length === 0) return noBytes
  if (header.compressionId === 0) return new Uint8Array(payload)
  const found = codec(header.compressionId)
  if (found === undefined) {
    return fail("UnsupportedCompression", `it is compressed with an unknown codec (${header.compressionId})`)
  }
  try {
    return found.decompress(payload, maxBytes)
  } catch (cause) {
    const name = names[header.compressionId]
    return fail("CorruptBatch", `its ${name} data is malformed or holds more than ${maxBytes} bytes`, cause)
  }
}

export const sourceOf = (header: BatchHeader, bytes: Uint8Array): Source => ({
  bytes,
  baseOffset: header.baseOffset,
  baseTimestamp: header.baseTimestamp,
  appendTimestamp: header.isLogAppendTime ? header.maxTimestamp : undefined
})

const scanned = (header: BatchHeader, bytes: Uint8Array) => {
  const records = scanAll(sourceOf(header, bytes), header.recordCount, header.lastOffsetDelta)
  return typeof records === "string"
    ? new RecordBatchError({ reason: "CorruptBatch", baseOffset: header.baseOffset, description: records })
    : records
}

const abortMarker = 0

/** Whether a control batch ends an aborted transaction: the type is the second int16 of its record's key. */
export const isAbortMarker = (records: ReadonlyArray<DecodedRecord>): boolean => {
  const key = records[0]?.key
  return key !== undefined && key !== null && key.length >= 4 && Layout.viewOf(key).getInt16(2) === abortMarker
}

const decodeBatch = (
  bytes: Uint8Array,
  at: number,
  header: BatchHeader,
  maxBytes: number,
  aborted: Aborted.AbortedTransactions | undefined
): DecodedBatch | RecordBatchError => {
  const wrong = Layout.checkCrc(bytes, at, header)
  if (wrong !== undefined) return wrong
  if (aborted?.holds(header) === true) return batchOf(header, true, 0, [])
  if (header.isControl && aborted === undefined) return batchOf(header, false, 0, [])
  const own = recordBytes(bytes, at, header, maxBytes)
  if (own instanceof RecordBatchError) return own
  const records = scanned(header, own)
  if (records instanceof RecordBatchError) return records
  if (!header.isControl) return batchOf(header, false, own.length, records)
  if (isAbortMarker(records)) aborted?.end(header.producerId)
  return batchOf(header, false, 0, [])
}

/** The error with the offset after its batch: from the next batch if there is one, since this header may be damaged. */
export const located = (
  { baseOffset, cause, description, reason }: RecordBatchError,
  bytes: Uint8Array,
  at: number,
  header: BatchHeader
): RecordBatchError => {
  const next = Layout.header(Layout.viewOf(bytes), at + header.sizeInBytes)
  const isNext =
    next !== undefined &&
    !(next instanceof RecordBatchError) &&
    next.baseOffset > baseOffset &&
    Layout.checkCrc(bytes, at + header.sizeInBytes, next) === undefined
  const nextOffset = isNext ? next.baseOffset : header.nextOffset
  return new RecordBatchError({ reason, baseOffset, nextOffset, description, cause })
}

export const decode = (
  bytes: Uint8Array,
  maxBytes: number,
  abortedTransactions: ReadonlyArray<AbortedTransaction>
): Decoded => {
  const view = Layout.viewOf(bytes)
  const aborted = abortedTransactions.length === 0 ? undefined : Aborted.make(abortedTransactions)
  const batches: Array<DecodedBatch> = []
  let at = 0
  while (true) {
    const header = Layout.header(view, at)
    if (header === undefined) return { batches, error: undefined }
    if (header instanceof RecordBatchError) return { batches, error: header }
    const batch = decodeBatch(bytes, at, header, maxBytes, aborted)
    if (batch instanceof RecordBatchError) return { batches, error: located(batch, bytes, at, header) }
    batches.push(batch)
    at += header.sizeInBytes
  }
}
