/**
 * Kafka's record batches (format v2, KIP-98): encoding, and decoding with lazily read fields.
 */
import * as Decode from "./internal/recordBatch/decode.js"
import * as Encode from "./internal/recordBatch/encode.js"
import { RecordBatchError } from "./internal/recordBatch/error.js"
import * as Layout from "./internal/recordBatch/layout.js"
import type {
  AbortedTransaction,
  BatchHeader,
  Compression,
  Decoded,
  DecodedBatch,
  DecodedRecord,
  EncodableRecord,
  EncodeOptions
} from "./internal/recordBatch/types.js"

export type {
  AbortedTransaction,
  BatchHeader,
  Compression,
  Decoded,
  DecodedBatch,
  DecodedRecord,
  EncodableRecord,
  EncodeOptions
}
export { RecordBatchError }

/**
 * Encodes records as one batch, at consecutive offsets. There must be a record, and timestamps must be integers. Throws
 * a `RecordBatchError` if the compression can't be loaded.
 */
export const encode = (records: ReadonlyArray<EncodableRecord>, options?: EncodeOptions | undefined): Uint8Array =>
  Encode.encode(records, options ?? {})

/** The most bytes a record takes in a batch, before compression. */
export const recordSize: (record: EncodableRecord) => number = Encode.recordSize

/** The bytes of a batch besides its records. */
export const batchOverhead: number = Layout.At.records

/** Limits and filters for decoding. */
export interface DecodeOptions {
  /** A compressed batch that holds more is an error. Default: 64 MiB. */
  readonly maxDecompressedBytes?: number | undefined
  /** The aborted transactions that the fetch response lists; their records are left out. Default: none. */
  readonly abortedTransactions?: ReadonlyArray<AbortedTransaction> | undefined
}

/**
 * Decodes consecutive batches of a fetch response, checking each one's checksum and structure. A last batch that was
 * cut off is left out. Records below the fetched offset are included: the first batch may begin before it.
 */
export const decode = (bytes: Uint8Array, options?: DecodeOptions | undefined): Decoded =>
  Decode.decode(bytes, options?.maxDecompressedBytes ?? 64 * 1024 * 1024, options?.abortedTransactions ?? [])

/**
 * Reads the header of the batch at a position (default: 0) without its records; `undefined` if the batch is incomplete.
 * The checksum is not checked.
 */
export const readHeader = (bytes: Uint8Array, at?: number | undefined): BatchHeader | RecordBatchError | undefined =>
  Layout.header(Layout.viewOf(bytes), at ?? 0)

/**
 * Checks that the bytes hold exactly one batch, as a broker does before it appends: magic, length and checksum. Returns
 * the batch's header or the error.
 */
export const validate = (bytes: Uint8Array): BatchHeader | RecordBatchError => {
  const header = readHeader(bytes)
  if (header instanceof RecordBatchError) return header
  if (header === undefined || header.sizeInBytes !== bytes.length) {
    const description = `${bytes.length} bytes are not one whole batch`
    return new RecordBatchError({ reason: "CorruptBatch", baseOffset: header?.baseOffset ?? -1, description })
  }
  return Layout.checkCrc(bytes, 0, header) ?? header
}

/**
 * A copy of an encoded batch at another base offset, as a broker stores it. Also sets the leader epoch if one is given.
 * The checksum doesn't cover either field.
 */
export const withBaseOffset = (
  bytes: Uint8Array,
  baseOffset: number,
  partitionLeaderEpoch?: number | undefined
): Uint8Array => {
  const copy = new Uint8Array(bytes)
  const view = Layout.viewOf(copy)
  view.setBigInt64(Layout.At.baseOffset, BigInt(baseOffset))
  if (partitionLeaderEpoch !== undefined) view.setInt32(Layout.At.leaderEpoch, partitionLeaderEpoch)
  return copy
}
