/**
 * The record batches that users and the codec share; the public module re-exports them.
 */
import type { Headers } from "@spillway/transport/Headers"
import type { RecordBatchError } from "./error.js"

/** How the records of a batch are compressed. */
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
 * A decoded record. Its fields are getters that read from the batch on access, so spreading a record copies none of
 * them, and their results are views that keep the whole batch in memory.
 */
export interface DecodedRecord extends EncodableRecord {
  readonly offset: number
}

/** A decoded batch: its header's fields that consumers need, and its records. */
export interface DecodedBatch {
  readonly baseOffset: number
  /** The offset after the batch's last, even if compaction emptied it: base + lastOffsetDelta + 1. */
  readonly nextOffset: number
  readonly partitionLeaderEpoch: number
  readonly producerId: bigint
  readonly isTransactional: boolean
  /** A control batch has no records for users; `records` is empty. */
  readonly isControl: boolean
  /** Written by an aborted transaction, by `DecodeOptions.abortedTransactions`; `records` is empty. */
  readonly isAborted: boolean
  /** The bytes this batch keeps in memory. */
  readonly sizeInBytes: number
  readonly records: ReadonlyArray<DecodedRecord>
}

/** The fields of a batch's header that don't come from its records. */
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

/** The decoded batches up to the first that can't be read, and its error if there is one. */
export interface Decoded {
  readonly batches: ReadonlyArray<DecodedBatch>
  readonly error: RecordBatchError | undefined
}

/** The start of an aborted transaction. */
export interface AbortedTransaction {
  readonly producerId: bigint
  readonly firstOffset: number
}

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
