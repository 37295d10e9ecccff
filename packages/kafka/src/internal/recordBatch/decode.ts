/**
 * Decoding: whole batches, checked, each copied once out of the response so that the response isn't kept alive.
 */
import type { BatchHeader, Decoded, DecodedBatch } from "../../RecordBatch.js"
import { codec, names } from "./compression.js"
import { RecordBatchError } from "./error.js"
import * as Layout from "./layout.js"
import { scan } from "./scan.js"

const noBytes = new Uint8Array(0)

const batchOf = (header: BatchHeader, sizeInBytes: number, records: DecodedBatch["records"]): DecodedBatch => ({
  baseOffset: header.baseOffset,
  nextOffset: header.nextOffset,
  partitionLeaderEpoch: header.partitionLeaderEpoch,
  producerId: header.producerId,
  isTransactional: header.isTransactional,
  isControl: header.isControl,
  sizeInBytes,
  records
})

/** A copy of the batch's records, decompressed. */
const recordBytes = (bytes: Uint8Array, at: number, header: BatchHeader, maxBytes: number) => {
  const fail = (reason: RecordBatchError["reason"], description: string, cause?: unknown) =>
    new RecordBatchError({ reason, baseOffset: header.baseOffset, description, cause })
  const payload = bytes.subarray(at + Layout.At.records, at + header.sizeInBytes)
  // Compaction leaves the compression bits of a batch it has emptied, without a payload.
  if (header.recordCount === 0 && payload.length === 0) return noBytes
  if (header.compressionId === 0) return new Uint8Array(payload)
  const found = codec(header.compressionId)
  if ("unusable" in found) {
    return fail("UnsupportedCompression", `it is compressed with ${found.unusable}`, found.cause)
  }
  try {
    return found.decompress(payload, maxBytes)
  } catch (cause) {
    const name = names[header.compressionId]
    return fail("CorruptBatch", `its ${name} data is malformed or holds more than ${maxBytes} bytes`, cause)
  }
}

const decodeBatch = (
  bytes: Uint8Array,
  at: number,
  header: BatchHeader,
  maxBytes: number
): DecodedBatch | RecordBatchError => {
  const wrong = Layout.checkCrc(bytes, at, header)
  if (wrong !== undefined) return wrong
  if (header.isControl) return batchOf(header, 0, [])
  const own = recordBytes(bytes, at, header, maxBytes)
  if (own instanceof RecordBatchError) return own
  const source = {
    bytes: own,
    baseOffset: header.baseOffset,
    baseTimestamp: header.baseTimestamp,
    appendTimestamp: header.isLogAppendTime ? header.maxTimestamp : undefined
  }
  const records = scan(source, header.recordCount, header.lastOffsetDelta)
  if (typeof records === "string") {
    return new RecordBatchError({ reason: "CorruptBatch", baseOffset: header.baseOffset, description: records })
  }
  return batchOf(header, own.length, records)
}

export const decode = (bytes: Uint8Array, maxBytes: number): Decoded => {
  const view = Layout.viewOf(bytes)
  const batches: Array<DecodedBatch> = []
  let at = 0
  while (true) {
    const header = Layout.header(view, at)
    if (header === undefined) return { batches, error: undefined }
    if (header instanceof RecordBatchError) return { batches, error: header }
    const batch = decodeBatch(bytes, at, header, maxBytes)
    if (batch instanceof RecordBatchError) return { batches, error: batch }
    batches.push(batch)
    at += header.sizeInBytes
  }
}
