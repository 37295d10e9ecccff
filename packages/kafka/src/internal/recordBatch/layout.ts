/**
 * The fixed part of a record batch v2: the positions of its fields, and reading them.
 */
import { crc32c } from "./crc.js"
import { RecordBatchError } from "./error.js"
import type { BatchHeader } from "./types.js"

export const At = {
  baseOffset: 0,
  length: 8,
  leaderEpoch: 12,
  magic: 16,
  crc: 17,
  attributes: 21,
  lastOffsetDelta: 23,
  baseTimestamp: 27,
  maxTimestamp: 35,
  producerId: 43,
  producerEpoch: 51,
  baseSequence: 53,
  recordCount: 57,
  records: 61
} as const

/** The bytes that the length field doesn't count: the base offset and the field itself. */
export const lengthOverhead = 12

export const Attribute = { compression: 0x07, logAppendTime: 0x08, transactional: 0x10, control: 0x20 } as const

export const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** The checksum of a batch's bytes from the attributes on; a broker may change the fields before. */
export const checksum = (bytes: Uint8Array, at: number, end: number): number =>
  crc32c(bytes.subarray(at + At.attributes, end))

/** Whether the batch at a position is complete, or can't be a batch. */
export const isWhole = (view: DataView, at: number): boolean => {
  const left = view.byteLength - at
  if (left <= At.magic) return false
  const length = view.getInt32(at + At.length)
  return view.getInt8(at + At.magic) !== 2 || length < At.records - lengthOverhead || left >= length + lengthOverhead
}

/**
 * Reads the header of the batch at a position without checking its checksum; `undefined` if the batch is incomplete.
 */
export const header = (view: DataView, at: number): BatchHeader | RecordBatchError | undefined => {
  const left = view.byteLength - at
  if (left <= At.magic) return undefined
  const offset = view.getBigInt64(at + At.baseOffset)
  const baseOffset = Number(offset)
  const fail = (reason: RecordBatchError["reason"], description: string, nextOffset?: number) =>
    new RecordBatchError({ reason, baseOffset, nextOffset, description })
  const magic = view.getInt8(at + At.magic)
  if (magic !== 2) {
    // In older formats, an entry is one message, or a compressed set up to and including its offset.
    const nextOffset = magic === 0 || magic === 1 ? baseOffset + 1 : undefined
    return fail("UnsupportedMagic", `its magic byte is ${magic}, only 2 can be read`, nextOffset)
  }
  const length = view.getInt32(at + At.length)
  if (length < At.records - lengthOverhead) return fail("CorruptBatch", `its length can't be ${length}`)
  if (left < length + lengthOverhead) return undefined
  const lastOffsetDelta = view.getInt32(at + At.lastOffsetDelta)
  const recordCount = view.getInt32(at + At.recordCount)
  if (baseOffset < 0 || lastOffsetDelta < 0 || recordCount < 0) {
    return fail("CorruptBatch", `its last offset delta can't be ${lastOffsetDelta} with ${recordCount} records`)
  }
  if (baseOffset + lastOffsetDelta >= Number.MAX_SAFE_INTEGER) {
    return fail("UnsafeOffset", `offset ${offset} and the ${lastOffsetDelta} after it exceed 2^53 - 1`)
  }
  const attributes = view.getInt16(at + At.attributes)
  return {
    baseOffset,
    nextOffset: baseOffset + lastOffsetDelta + 1,
    lastOffsetDelta,
    sizeInBytes: length + lengthOverhead,
    partitionLeaderEpoch: view.getInt32(at + At.leaderEpoch),
    crc: view.getUint32(at + At.crc),
    compressionId: attributes & Attribute.compression,
    isLogAppendTime: (attributes & Attribute.logAppendTime) !== 0,
    isTransactional: (attributes & Attribute.transactional) !== 0,
    isControl: (attributes & Attribute.control) !== 0,
    baseTimestamp: Number(view.getBigInt64(at + At.baseTimestamp)),
    maxTimestamp: Number(view.getBigInt64(at + At.maxTimestamp)),
    producerId: view.getBigInt64(at + At.producerId),
    producerEpoch: view.getInt16(at + At.producerEpoch),
    baseSequence: view.getInt32(at + At.baseSequence),
    recordCount
  }
}

/** The error in the checksum of the batch at a position, if any. */
export const checkCrc = (bytes: Uint8Array, at: number, batch: BatchHeader): RecordBatchError | undefined => {
  const actual = checksum(bytes, at, at + batch.sizeInBytes)
  if (actual === batch.crc) return undefined
  return new RecordBatchError({
    reason: "CorruptBatch",
    baseOffset: batch.baseOffset,
    description: `its checksum is ${actual}, but it was sent with ${batch.crc}`
  })
}
