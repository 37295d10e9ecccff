/**
 * The record batches that users and the codec share; the public module re-exports them.
 */
import type { Headers } from "@spillway/transport/Headers"
import type { RecordBatchError } from "./error.js"

/** How the records of a batch are compressed. */
export type Compression = "none" | "gzip" | "snappy" | "lz4" | "zstd"

/** A record to encode. */
export interface EncodableRecord {
  /** null for a record without a key; empty is a key. */
  readonly key: Uint8Array | null
  /** null for a tombstone. */
  readonly value: Uint8Array | null
  /** In order; names may repeat. */
  readonly headers: Headers
  /** Milliseconds since the epoch. */
  readonly timestamp: number
}

/**
 * A decoded record. Its fields are getters that read from the batch on access, so spreading a record copies none of
 * them, and their results are views that keep the whole batch in memory.
 */
export interface DecodedRecord extends EncodableRecord {
  /** The record's offset in its partition. */
  readonly offset: number
}

/** A decoded batch: its header's fields that consumers need, and its records. */
export interface DecodedBatch {
  /** The offset of the batch's first record, which compaction may have removed. */
  readonly baseOffset: number
  /** The offset after the batch's last, even if compaction emptied it: base + lastOffsetDelta + 1. */
  readonly nextOffset: number
  /** The epoch of the leader that appended the batch; -1 when unknown. */
  readonly partitionLeaderEpoch: number
  /** -1 when the producer isn't idempotent. */
  readonly producerId: bigint
  /** Whether the batch is part of a transaction. */
  readonly isTransactional: boolean
  /** A control batch has no records for users; `records` is empty. */
  readonly isControl: boolean
  /** Written by an aborted transaction, by `DecodeOptions.abortedTransactions`; `records` is empty. */
  readonly isAborted: boolean
  /** The bytes this batch keeps in memory. */
  readonly sizeInBytes: number
  /** The records in the order of their offsets. */
  readonly records: ReadonlyArray<DecodedRecord>
}

/** The fields of a batch's header that don't come from its records. */
export interface EncodeOptions {
  /** Default: `"none"`. */
  readonly compression?: Compression | undefined
  /** The offset of the first record. Default: 0, as producers send it; the broker replaces it. */
  readonly baseOffset?: number | undefined
  /** The epoch of the leader that appends the batch. Default: -1, unknown. */
  readonly partitionLeaderEpoch?: number | undefined
  /** The id of an idempotent producer (KIP-98). Default: -1, not idempotent. */
  readonly producerId?: bigint | undefined
  /** The epoch of `producerId`. Default: -1, none. */
  readonly producerEpoch?: number | undefined
  /** The sequence number of the first record, by which brokers recognize repeated batches. Default: -1, none. */
  readonly baseSequence?: number | undefined
  /** Whether the batch is part of the producer's open transaction. Default: false. */
  readonly isTransactional?: boolean | undefined
  /** Whether its one record is a marker, as brokers write them. Default: false. */
  readonly isControl?: boolean | undefined
}

/** The decoded batches up to the first that can't be read, and its error if there is one. */
export interface Decoded {
  /** The batches in the order of their offsets, control batches included. */
  readonly batches: ReadonlyArray<DecodedBatch>
  /** The error of the next batch, which can't be read; absent if every batch was read. */
  readonly error: RecordBatchError | undefined
}

/** The start of an aborted transaction. */
export interface AbortedTransaction {
  /** The producer that aborted. */
  readonly producerId: bigint
  /** The offset of the transaction's first record in the partition. */
  readonly firstOffset: number
}

/** The fixed fields of an encoded batch. */
export interface BatchHeader {
  /** The offset of the first record. */
  readonly baseOffset: number
  /** The offset after the batch's last: base + lastOffsetDelta + 1. */
  readonly nextOffset: number
  /** The distance of the last offset from the base offset; compaction keeps it. */
  readonly lastOffsetDelta: number
  /** The whole encoded batch, this header included. */
  readonly sizeInBytes: number
  /** The epoch of the leader that appended the batch; -1 when unknown. */
  readonly partitionLeaderEpoch: number
  /** The CRC-32C from the attributes to the end, as it was sent; not checked. */
  readonly crc: number
  /** The compression of the records. 0: none, 1: gzip, 2: snappy, 3: lz4, 4: zstd. */
  readonly compressionId: number
  /** When set, `maxTimestamp` is the timestamp of every record. */
  readonly isLogAppendTime: boolean
  /** Whether the batch is part of a transaction. */
  readonly isTransactional: boolean
  /** Whether it holds a marker that ends a transaction, instead of users' records. */
  readonly isControl: boolean
  /** Milliseconds since the epoch, from which the records' timestamps count. */
  readonly baseTimestamp: number
  /** The latest timestamp of a record, in milliseconds since the epoch. */
  readonly maxTimestamp: number
  /** The id of the idempotent producer (KIP-98); -1 when the producer isn't idempotent. */
  readonly producerId: bigint
  /** The epoch of `producerId`; -1 without one. */
  readonly producerEpoch: number
  /** The sequence number of the first record; -1 without a producer id. */
  readonly baseSequence: number
  /** The number of records; compaction may lower it. */
  readonly recordCount: number
}
