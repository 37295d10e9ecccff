/**
 * Decoding slice by slice: fetched batches stay compressed until there is room for their records.
 */

import * as Aborted from "./aborted.js"
import { codec, names } from "./compression.js"
import { isAbortMarker, located, recordBytes, sourceOf } from "./decode.js"
import { RecordBatchError } from "./error.js"
import * as Layout from "./layout.js"
import * as Pieces from "./pieces.js"
import * as Scan from "./scan.js"
import type { AbortedTransaction, BatchHeader, DecodedRecord } from "./types.js"

/** The approximate memory of a record besides its bytes. */
export const recordOverhead = 128

/** Consecutive records of one batch. */
export interface Slice {
  readonly records: ReadonlyArray<DecodedRecord>
  /** The offset of the first record, or the batch's base offset if that may be lower. */
  readonly baseOffset: number
  /** The offset after the last record; after the batch if no records follow. */
  readonly nextOffset: number
  readonly partitionLeaderEpoch: number
  /** Their size in memory. */
  readonly bytes: number
}

export interface Unpacking {
  /**
   * The next slice, empty for a batch without records for users; or the error in the next batch, which ends everything;
   * `undefined` at the end.
   */
  readonly next: (sliceBytes: number) => Slice | RecordBatchError | undefined
  /** Whether nothing follows. */
  readonly isDone: () => boolean
  /** The bytes that it keeps in memory, besides its input. */
  readonly heldBytes: () => number
}

export interface Options {
  readonly abortedTransactions: ReadonlyArray<AbortedTransaction>
  /** A larger record of a compressed batch is refused. */
  readonly maxRecordBytes: number
}

/** Compressed batches that hold no more than this are decompressed at once, which is faster. */
const wholeBytes = 1024 * 1024

/** A batch whose records are being unpacked. */
interface Opened {
  readonly header: BatchHeader
  readonly pieces: Pieces.Pieces
  readonly progress: Scan.Progress
  /** The most bytes that `pieces` may still return. */
  left: number
  /** Unpacked bytes, those before `at` scanned, up to `filled`. */
  buffer: Uint8Array
  at: number
  filled: number
  /** The rest of the last piece. */
  piece: Uint8Array
  isEnded: boolean
}

const nothing = new Uint8Array(0)

/** Makes room for `size` bytes from `at` on, and fills it. */
const fill = (batch: Opened, size: number): void => {
  const kept = batch.filled - batch.at
  const buffer = new Uint8Array(Math.min(size, kept + batch.left))
  buffer.set(batch.buffer.subarray(batch.at, batch.filled))
  batch.buffer = buffer
  batch.at = 0
  batch.filled = kept
  while (batch.filled < buffer.length) {
    if (batch.piece.length === 0) {
      const piece = batch.pieces.next()
      if (piece === undefined) {
        batch.isEnded = true
        return
      }
      batch.piece = piece
    }
    const count = Math.min(batch.piece.length, buffer.length - batch.filled)
    buffer.set(batch.piece.subarray(0, count), batch.filled)
    batch.piece = batch.piece.subarray(count)
    batch.filled += count
    batch.left -= count
  }
  if (batch.left === 0) batch.isEnded = true
}

const open = (payload: Uint8Array, header: BatchHeader): Opened | RecordBatchError => {
  const opened = (pieces: Pieces.Pieces, left: number): Opened => ({
    header,
    pieces,
    progress: Scan.start(header.recordCount, header.lastOffsetDelta),
    left,
    buffer: nothing,
    at: 0,
    filled: 0,
    piece: nothing,
    isEnded: false
  })
  // Compaction leaves the compression bits of a batch it has emptied, without a payload.
  if (header.compressionId === 0 || payload.length === 0) return opened(Pieces.one(payload), payload.length)
  const found = codec(header.compressionId)
  if (found === undefined) {
    const description = `it is compressed with an unknown codec (${header.compressionId})`
    const { baseOffset } = header
    return new RecordBatchError({ reason: "UnsupportedCompression", baseOffset, description })
  }
  let whole: Uint8Array | undefined
  try {
    if (found.fits(payload, wholeBytes)) whole = found.decompress(payload, wholeBytes)
  } catch {
    // Unpacks as far as the data is well-formed.
  }
  if (whole === undefined) {
    try {
      return opened(found.pieces(payload), Number.POSITIVE_INFINITY)
    } catch (cause) {
      const description = `its ${names[header.compressionId]} data is malformed`
      return new RecordBatchError({ reason: "CorruptBatch", baseOffset: header.baseOffset, description, cause })
    }
  }
  return { ...opened(Pieces.one(nothing), 0), buffer: whole, filled: whole.length, isEnded: true }
}

export const make = (bytes: Uint8Array, { abortedTransactions, maxRecordBytes }: Options): Unpacking => {
  const view = Layout.viewOf(bytes)
  const aborted = abortedTransactions.length === 0 ? undefined : Aborted.make(abortedTransactions)
  let at = 0
  let batch: Opened | undefined
  let isBroken = false

  const wrong = (header: BatchHeader, error: RecordBatchError): RecordBatchError => {
    isBroken = true
    batch = undefined
    return located(error, bytes, at, header)
  }

  const corrupt = (header: BatchHeader, description: string, cause?: unknown): RecordBatchError =>
    wrong(header, new RecordBatchError({ reason: "CorruptBatch", baseOffset: header.baseOffset, description, cause }))

  const sliceOf = (
    header: BatchHeader,
    records: Slice["records"],
    bytes: number,
    baseOffset: number,
    nextOffset: number
  ): Slice => ({ records, bytes, baseOffset, nextOffset, partitionLeaderEpoch: header.partitionLeaderEpoch })

  /** Skips the batch. */
  const end = (header: BatchHeader): void => {
    at += header.sizeInBytes
    batch = undefined
  }

  const empty = (header: BatchHeader): Slice => {
    end(header)
    return sliceOf(header, [], 0, header.baseOffset, header.nextOffset)
  }

  const records = (opened: Opened, sliceBytes: number): Slice | RecordBatchError => {
    const { header, progress } = opened
    const isCompressed = header.compressionId !== 0
    const baseOffset = header.baseOffset + progress.previous + 1
    for (let size = sliceBytes; ; ) {
      if (!opened.isEnded && (opened.filled === opened.at || size > sliceBytes)) {
        try {
          fill(opened, size)
        } catch (cause) {
          return corrupt(header, `its ${names[header.compressionId]} data is malformed`, cause)
        }
      }
      const from = opened.at
      const source = sourceOf(header, opened.buffer)
      const found = Scan.scan(source, progress, from, opened.filled, !opened.isEnded, sliceBytes, recordOverhead)
      opened.at = found.at
      const isLast = progress.scanned === progress.count
      if (found.records.length > 0 || isLast) {
        const taken = found.at - from + found.records.length * recordOverhead
        if (!isLast) return sliceOf(header, found.records, taken, baseOffset, header.baseOffset + progress.previous + 1)
        const rest = remaining(opened)
        if (rest instanceof RecordBatchError) return rest
        // Its records are complete, so they come before the error.
        if (rest > 0 && found.records.length > 0) {
          return sliceOf(header, found.records, taken, baseOffset, header.baseOffset + progress.previous + 1)
        }
        if (rest > 0) return corrupt(header, `bytes are left after its ${progress.count} records`)
        end(header)
        return sliceOf(header, found.records, taken, baseOffset, header.nextOffset)
      }
      if (found.wrong !== undefined) return corrupt(header, found.wrong)
      const { needed } = found
      const place = `record ${progress.scanned} of ${progress.count}`
      if (isCompressed && needed > maxRecordBytes) {
        const description = `${place} takes ${needed} bytes, more than maxRecordBytes (${maxRecordBytes})`
        const reason = "RecordTooLarge"
        return wrong(header, new RecordBatchError({ reason, baseOffset: header.baseOffset, description }))
      }
      size = Math.max(needed, sliceBytes + 1)
    }
  }

  /** The least number of bytes that follow the last record. */
  const remaining = (opened: Opened): number | RecordBatchError => {
    if (opened.filled > opened.at || opened.isEnded) return opened.filled - opened.at
    try {
      fill(opened, 1)
    } catch (cause) {
      return corrupt(opened.header, `its ${names[opened.header.compressionId]} data is malformed`, cause)
    }
    return opened.filled + opened.piece.length
  }

  const next = (sliceBytes: number): Slice | RecordBatchError | undefined => {
    if (isBroken) return undefined
    if (batch !== undefined) return records(batch, sliceBytes)
    const header = Layout.header(view, at)
    if (header === undefined) return undefined
    if (header instanceof RecordBatchError) {
      isBroken = true
      return header
    }
    const bad = Layout.checkCrc(bytes, at, header)
    if (bad !== undefined) return wrong(header, bad)
    if (aborted?.holds(header) === true) return empty(header)
    if (header.isControl) {
      if (aborted !== undefined) {
        const own = recordBytes(bytes, at, header, wholeBytes)
        if (own instanceof RecordBatchError) return wrong(header, own)
        const marker = Scan.scanAll(sourceOf(header, own), header.recordCount, header.lastOffsetDelta)
        if (typeof marker === "string") return corrupt(header, marker)
        if (isAbortMarker(marker)) aborted.end(header.producerId)
      }
      return empty(header)
    }
    const opened = open(bytes.subarray(at + Layout.At.records, at + header.sizeInBytes), header)
    if (opened instanceof RecordBatchError) return wrong(header, opened)
    batch = opened
    return records(opened, sliceBytes)
  }

  return {
    next,
    isDone: () => isBroken || (batch === undefined && !Layout.isWhole(view, at)),
    heldBytes: () => (batch === undefined ? 0 : batch.buffer.length + batch.pieces.heldBytes())
  }
}

/** The unpacked size of complete, uncompressed batches in bytes, by their headers; `undefined` if it isn't known. */
export const unpackedBytes = (bytes: Uint8Array): number | undefined => {
  const view = Layout.viewOf(bytes)
  let sum = 0
  for (let at = 0; Layout.isWhole(view, at); ) {
    const length = view.getInt32(at + Layout.At.length)
    const isPlain =
      view.getInt8(at + Layout.At.magic) === 2 &&
      length >= Layout.At.records - Layout.lengthOverhead &&
      (view.getInt16(at + Layout.At.attributes) & Layout.Attribute.compression) === 0
    if (!isPlain) return undefined
    sum += length + Math.max(0, view.getInt32(at + Layout.At.recordCount)) * recordOverhead
    at += length + Layout.lengthOverhead
  }
  return sum
}
