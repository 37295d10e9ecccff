import * as Data from "effect/Data"

/** A batch that can't be read or written. */
export class RecordBatchError extends Data.TaggedError("RecordBatchError")<{
  /**
   * - `UnsupportedMagic`: the batch has another format than v2, which brokers write since Kafka 0.11
   * - `CorruptBatch`: the checksum, the structure or the compressed bytes are wrong
   * - `UnsupportedCompression`: the compression is unknown, or it can't be written because a package is missing
   * - `UnsafeOffset`: an offset exceeds 2^53 - 1
   * - `RecordTooLarge`: a record of a compressed batch takes more bytes than the limit
   */
  readonly reason: "UnsupportedMagic" | "CorruptBatch" | "UnsupportedCompression" | "UnsafeOffset" | "RecordTooLarge"
  /** The base offset of the batch that could not be read. */
  readonly baseOffset: number
  /** The offset after that batch, if the batch or the next one determines it. */
  readonly nextOffset?: number | undefined
  /** The failure in words. */
  readonly description: string
  /** The error of the codec, if any. */
  readonly cause?: unknown
}> {
  override get message(): string {
    return `${this.reason}: batch at offset ${this.baseOffset}: ${this.description}`
  }
}
