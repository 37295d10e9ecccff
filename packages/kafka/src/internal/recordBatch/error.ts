import * as Data from "effect/Data"

export class RecordBatchError extends Data.TaggedError("RecordBatchError")<{
  readonly reason: "UnsupportedMagic" | "CorruptBatch" | "UnsupportedCompression" | "UnsafeOffset" | "RecordTooLarge"
  /** The base offset of the batch that could not be read. */
  readonly baseOffset: number
  /** The offset after that batch, if the batch or the next one determines it. */
  readonly nextOffset?: number | undefined
  readonly description: string
  readonly cause?: unknown
}> {
  override get message(): string {
    return `${this.reason}: batch at offset ${this.baseOffset}: ${this.description}`
  }
}
