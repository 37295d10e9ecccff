/**
 * Kafka's record batches (format v2, KIP-98): encoding, and decoding with lazily read fields.
 */
import type { Headers } from "@spillway/transport/Headers"
import * as Decode from "./internal/recordBatch/decode.js"
import * as Encode from "./internal/recordBatch/encode.js"
import { RecordBatchError } from "./internal/recordBatch/error.js"
import * as Layout from "./internal/recordBatch/layout.js"

export { RecordBatchError }

export type Compression = "none" | "gzip" | "snappy" | "lz4" | "zstd"

/** A record to encode. */
export interface EncodableRecord {
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers: Headers
  /** Milliseconds since the epoch. */
  readonly timestamp: number
}

/**
 * A decoded record. Its fields are getters that read from the batch when asked for, so spreading a record copies none
 * of them, and what they return is a view that keeps the whole batch in memory.
 */
export interface DecodedRecord extends EncodableRecord {
  readonly offset: number
}

export interface DecodedBatch {
  readonly baseOffset: number
  /** The offset after the batch's last, also when compaction emptied it: base + lastOffsetDelta + 1. */
  readonly nextOffset: number
  readonly partitionLeaderEpoch: number
  readonly producerId: bigint
  readonly isTransactional: boolean
  /** A control batch has no records for users; `records` is empty. */
  readonly isControl: boolean
  /** Written by a transaction that was aborted, as `DecodeOptions.abortedTransactions` tells; `records` is empty. */
  readonly isAborted: boolean
  /** The bytes this batch keeps in memory. */
  readonly sizeInBytes: number
  readonly records: ReadonlyArray<DecodedRecord>
}

export interface EncodeOptions {
  /** Default: `"none"`. */
  readonly compression?: Compression | undefined
  /** Default: 0, as producers send it; the broker replaces it. */
  readonly baseOffset?: number | undefined
  /** Default: -1, unknown. */
  readonly partitionLeaderEpoch?: number | undefined
  /** Default: -1, not idempotent. */
  readonly producerId?: bigint | undefined
  /** Default: -1. */
  readonly producerEpoch?: number | undefined
  /** Default: -1. */
  readonly baseSequence?: number | undefined
  /** Default: false. */
  readonly isTransactional?: boolean | undefined
  /** Whether its one record is a marker, as brokers write them. Default: false. */
  readonly isControl?: boolean | undefined
}

/** Encodes records as one batch, at consecutive offsets. There must be a record, and timestamps must be integers. */
export const encode = (records: ReadonlyArray<EncodableRecord>, options?: EncodeOptions | undefined): Uint8Array =>
  Encode.encode(records, options ?? {})

/** The most bytes a record takes in a batch, before compression. */
export const recordSize: (record: EncodableRecord) => number = Encode.recordSize

/** The bytes of a batch besides its records. */
export const batchOverhead: number = Layout.At.records

/** What could be decoded: the batches before the one that is wrong, if one is, and its error. */
export interface Decoded {
  readonly batches: ReadonlyArray<DecodedBatch>
  readonly error: RecordBatchError | undefined
}

/** Where a transaction that was aborted began. */
export interface AbortedTransaction {
  readonly producerId: bigint
  readonly firstOffset: number
}

export interface DecodeOptions {
  /** A compressed batch that holds more is an error. Default: 64 MiB. */
  readonly maxDecompressedBytes?: number | undefined
  /** Those that a fetch answered beside these bytes, whose records are left out. Default: none. */
  readonly abortedTransactions?: ReadonlyArray<AbortedTransaction> | undefined
}

/**
 * Decodes consecutive batches as a fetch returns them, checking each one's checksum and structure. A last batch that
 * was cut off is left out. Records below the fetched offset are not: the first batch may begin before it.
 */
export const decode = (bytes: Uint8Array, options?: DecodeOptions | undefined): Decoded =>
  Decode.decode(bytes, options?.maxDecompressedBytes ?? 64 * 1024 * 1024, options?.abortedTransactions ?? [])

/** The fixed fields of an encoded batch. */
export interface BatchHeader {
  readonly baseOffset: number
  /** base + lastOffsetDelta + 1 */
  readonly nextOffset: number
  readonly lastOffsetDelta: number
  /** The whole encoded batch, this header included. */
  readonly sizeInBytes: number
  /** -1 when unknown. */
  readonly partitionLeaderEpoch: number
  /** As it was sent, not checked. */
  readonly crc: number
  /** 0: none, 1: gzip, 2: snappy, 3: lz4, 4: zstd. */
  readonly compressionId: number
  /** When set, `maxTimestamp` is the timestamp of every record. */
  readonly isLogAppendTime: boolean
  readonly isTransactional: boolean
  readonly isControl: boolean
  readonly baseTimestamp: number
  readonly maxTimestamp: number
  /** -1 when the producer isn't idempotent, as are its epoch and base sequence. */
  readonly producerId: bigint
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly recordCount: number
}

/**
 * Reads the header of the batch at a position (default: 0) without its records; `undefined` when no whole batch is
 * there. The checksum is not checked.
 */
export const readHeader = (bytes: Uint8Array, at?: number | undefined): BatchHeader | RecordBatchError | undefined =>
  Layout.header(Layout.viewOf(bytes), at ?? 0)

/**
 * Checks the one batch that the bytes should hold as a broker does before it appends it: magic, length and checksum.
 * Returns its header, or what is wrong with it.
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
 * A copy of an encoded batch at another base offset, as a broker stores it. The leader epoch is changed when given.
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
