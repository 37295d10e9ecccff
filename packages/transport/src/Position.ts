/**
 * Where to continue in a partition, for `Consumer.seek`.
 */
export type Position =
  | { readonly _tag: "Beginning" }
  | { readonly _tag: "End" }
  | {
      readonly _tag: "Offset"
      /** The offset of the next record to read. */
      readonly offset: number
    }
  | {
      readonly _tag: "Timestamp"
      /** Milliseconds since the epoch. */
      readonly timestamp: number
    }

/** The oldest record in the log. */
export const beginning: Position = { _tag: "Beginning" }

/** After the newest record: only records written from now on. */
export const end: Position = { _tag: "End" }

/** The record at an offset, or the next one that still exists. */
export const offset = (offset: number): Position => ({ _tag: "Offset", offset })

/**
 * The first record whose timestamp, in milliseconds since the epoch, isn't earlier; otherwise the end. The record's own
 * timestamp counts, which its producer set unless the topic has `message.timestamp.type=LogAppendTime`.
 */
export const timestamp = (at: number | Date): Position => ({
  _tag: "Timestamp",
  timestamp: typeof at === "number" ? at : at.getTime()
})
