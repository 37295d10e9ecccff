/**
 * What handlers want written, until it is committed in a transaction with the offsets of the records it came from. What
 * came of a record is known by the record's place: if the record is handled again, what comes of it then replaces it.
 */
import type { TopicPartition } from "@spillway/transport/Consumer"
import type { ProducerRecord } from "@spillway/transport/Producer"
import { keyOf } from "../topicPartition.js"

export interface Source extends TopicPartition {
  readonly offset: number
}

export interface Entry {
  readonly source: Source
  readonly records: ReadonlyArray<ProducerRecord>
  readonly bytes: number
}

/** Changed by the functions of this file alone. */
export interface Outbox {
  /** By partition and offset of the source. */
  readonly entries: Map<string, Map<number, Entry>>
  bytes: number
}

export const make = (): Outbox => ({ entries: new Map(), bytes: 0 })

const remove = (outbox: Outbox, entry: Entry): void => {
  if (outbox.entries.get(keyOf(entry.source))?.delete(entry.source.offset) === true) outbox.bytes -= entry.bytes
}

/** Puts what came of a record in the place of what came of it before. */
export const put = (outbox: Outbox, entry: Entry): void => {
  const { offset } = entry.source
  const key = keyOf(entry.source)
  const own = outbox.entries.get(key) ?? new Map<number, Entry>()
  outbox.entries.set(key, own)
  const before = own.get(offset)
  if (before !== undefined) remove(outbox, before)
  if (entry.records.length === 0) return
  own.set(offset, entry)
  outbox.bytes += entry.bytes
}

/** What came of the records before the offsets, by partition in their order. */
export const before = ({ entries }: Outbox, offsets: ReadonlyArray<Source>): ReadonlyArray<Entry> =>
  offsets.flatMap((end) =>
    Array.from(entries.get(keyOf(end))?.values() ?? [])
      .filter(({ source }) => source.offset < end.offset)
      .sort((one, other) => one.source.offset - other.source.offset)
  )

/** Drops what is committed. */
export const settle = (outbox: Outbox, committed: ReadonlyArray<Source>): void => {
  for (const entry of before(outbox, committed)) remove(outbox, entry)
}

/** Drops what came of a partition's records from an offset on: they are handled again, here or elsewhere. */
export const drop = (outbox: Outbox, partition: TopicPartition, from = 0): void => {
  for (const entry of [...(outbox.entries.get(keyOf(partition))?.values() ?? [])]) {
    if (entry.source.offset >= from) remove(outbox, entry)
  }
}
