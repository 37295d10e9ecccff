/**
 * Encoding: one pass for the sizes, one that writes.
 */

import { codec, ids } from "./compression.js"
import { RecordBatchError } from "./error.js"
import { At, Attribute, checksum, lengthOverhead, viewOf } from "./layout.js"
import type { EncodableRecord, EncodeOptions } from "./types.js"
import * as Varint from "./varint.js"

const encoder = new TextEncoder()

/** Short runs are copied in a loop: `set` costs more. */
const copyByHand = 24

const textSize = (text: string): number => {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return Buffer.byteLength(text)
  return text.length
}

const fieldSize = (bytes: Uint8Array | null): number => (bytes === null ? 1 : Varint.size(bytes.length) + bytes.length)

const bodySize = (record: EncodableRecord, index: number, baseTimestamp: number): number => {
  const { headers } = record
  let size =
    1 +
    Varint.sizeLong(record.timestamp - baseTimestamp) +
    Varint.size(index) +
    fieldSize(record.key) +
    fieldSize(record.value) +
    Varint.size(headers.length)
  for (let i = 0; i < headers.length; i++) {
    const header = headers[i]!
    const nameSize = textSize(header[0])
    size += Varint.size(nameSize) + nameSize + fieldSize(header[1])
  }
  return size
}

const writeField = (out: Uint8Array, at: number, bytes: Uint8Array | null): number => {
  if (bytes === null) {
    out[at] = 1
    return at + 1
  }
  const start = Varint.write(out, at, bytes.length)
  if (bytes.length > copyByHand) out.set(bytes, start)
  else for (let i = 0; i < bytes.length; i++) out[start + i] = bytes[i]!
  return start + bytes.length
}

const writeText = (out: Uint8Array, at: number, text: string): number => {
  const size = textSize(text)
  const start = Varint.write(out, at, size)
  if (size !== text.length) encoder.encodeInto(text, out.subarray(start, start + size))
  else for (let i = 0; i < size; i++) out[start + i] = text.charCodeAt(i)
  return start + size
}

const writeRecord = (
  out: Uint8Array,
  from: number,
  record: EncodableRecord,
  index: number,
  baseTimestamp: number,
  size: number
): number => {
  const { headers } = record
  let at = Varint.write(out, from, size)
  out[at++] = 0
  at = Varint.writeLong(out, at, record.timestamp - baseTimestamp)
  at = Varint.write(out, at, index)
  at = writeField(out, at, record.key)
  at = writeField(out, at, record.value)
  at = Varint.write(out, at, headers.length)
  for (let i = 0; i < headers.length; i++) {
    const header = headers[i]!
    at = writeText(out, at, header[0])
    at = writeField(out, at, header[1])
  }
  return at
}

const writeHeader = (
  out: Uint8Array,
  records: ReadonlyArray<EncodableRecord>,
  baseTimestamp: number,
  maxTimestamp: number,
  options: EncodeOptions
): void => {
  const view = viewOf(out)
  const attributes =
    ids[options.compression ?? "none"] |
    (options.isTransactional === true ? Attribute.transactional : 0) |
    (options.isControl === true ? Attribute.control : 0)
  view.setBigInt64(At.baseOffset, BigInt(options.baseOffset ?? 0))
  view.setInt32(At.length, out.length - lengthOverhead)
  view.setInt32(At.leaderEpoch, options.partitionLeaderEpoch ?? -1)
  view.setInt8(At.magic, 2)
  view.setInt16(At.attributes, attributes)
  view.setInt32(At.lastOffsetDelta, records.length - 1)
  view.setBigInt64(At.baseTimestamp, BigInt(baseTimestamp))
  view.setBigInt64(At.maxTimestamp, BigInt(maxTimestamp))
  view.setBigInt64(At.producerId, options.producerId ?? -1n)
  view.setInt16(At.producerEpoch, options.producerEpoch ?? -1)
  view.setInt32(At.baseSequence, options.baseSequence ?? -1)
  view.setInt32(At.recordCount, records.length)
  view.setUint32(At.crc, checksum(out, 0, out.length))
}

/** The encoded batch with its records compressed and its header still unwritten. */
const compress = (batch: Uint8Array, { baseOffset = 0, compression = "none" }: EncodeOptions): Uint8Array => {
  const found = codec(ids[compression])
  if (found === undefined || typeof found.compress === "string") {
    const why = found === undefined ? "which is unknown" : `which needs ${found.compress}`
    const description = `it can't be compressed with ${compression}, ${why}`
    throw new RecordBatchError({ reason: "UnsupportedCompression", baseOffset, description })
  }
  const compressed = found.compress(batch.subarray(At.records))
  const out = new Uint8Array(At.records + compressed.length)
  out.set(compressed, At.records)
  return out
}

export const encode = (records: ReadonlyArray<EncodableRecord>, options: EncodeOptions): Uint8Array => {
  const baseTimestamp = records.length === 0 ? 0 : records[0]!.timestamp
  const sizes = new Int32Array(records.length)
  let maxTimestamp = baseTimestamp
  let total = At.records
  for (let i = 0; i < records.length; i++) {
    const record = records[i]!
    const size = bodySize(record, i, baseTimestamp)
    sizes[i] = size
    total += Varint.size(size) + size
    if (record.timestamp > maxTimestamp) maxTimestamp = record.timestamp
  }
  let out: Uint8Array = new Uint8Array(total)
  let at: number = At.records
  for (let i = 0; i < records.length; i++) at = writeRecord(out, at, records[i]!, i, baseTimestamp, sizes[i]!)
  if (options.compression !== undefined && options.compression !== "none") out = compress(out, options)
  writeHeader(out, records, baseTimestamp, maxTimestamp, options)
  return out
}

/** The bytes of a record in a batch, at most: with the widest offset and timestamp deltas. */
export const recordSize = (record: EncodableRecord): number => {
  const size = bodySize(record, 0, record.timestamp) + (Varint.maxSize - 1) + (Varint.maxLongSize - 1)
  return Varint.size(size) + size
}
