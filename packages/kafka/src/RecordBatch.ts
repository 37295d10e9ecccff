/**
 * Kafka's record batches (format v2, KIP-98): encoding, and decoding with lazily read fields.
 */
import type { Headers } from "@spillway/transport/Headers"
import * as Data from "effect/Data"

export type Compression = "none" | "gzip"

/** A record to encode. */
export interface EncodableRecord {
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers: Headers
  /** Milliseconds since the epoch. */
  readonly timestamp: number
}

/** A decoded record. `key`, `value` and `headers` are read from the batch when asked for. */
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
  /** The bytes this batch keeps in memory. */
  readonly sizeInBytes: number
  readonly records: ReadonlyArray<DecodedRecord>
}

export class RecordBatchError extends Data.TaggedError("RecordBatchError")<{
  readonly reason: "UnsupportedMagic" | "CorruptBatch" | "UnsupportedCompression" | "UnsafeOffset"
  /** The base offset of the batch that could not be read. */
  readonly baseOffset: number
  readonly description: string
  readonly cause?: unknown
}> {
  override get message(): string {
    return `${this.reason}: batch at offset ${this.baseOffset}: ${this.description}`
  }
}
