/**
 * Where a partition is read from next, for `Consumer.seek`.
 */
export type Position =
  | { readonly _tag: "Beginning" }
  | { readonly _tag: "End" }
  | { readonly _tag: "Offset"; readonly offset: number }
  | { readonly _tag: "Timestamp"; readonly timestamp: number }

/** The oldest record that the log still holds. */
export const beginning: Position = { _tag: "Beginning" }

/** After the newest record: what is written from now on. */
export const end: Position = { _tag: "End" }

/** The record at an offset, or the next one that is still there. */
export const offset = (offset: number): Position => ({ _tag: "Offset", offset })

/**
 * The first record whose timestamp, in milliseconds since the epoch, isn't earlier; the end when there is none. It is
 * the record's own timestamp, which its producer set unless the topic has `message.timestamp.type=LogAppendTime`.
 */
export const timestamp = (at: number | Date): Position => ({
  _tag: "Timestamp",
  timestamp: typeof at === "number" ? at : at.getTime()
})
