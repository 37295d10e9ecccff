/**
 * What handlers want written, until it is committed in a transaction with the offsets of the records it came from. What
 * came of a record is known by the record's place: if the record is handled again, what comes of it then replaces it.
 */
import type { TopicPartition } from "@spillway/transport/Consumer"
import type { ConsumedRecord } from "@spillway/transport/Envelope"
import type { ProducerRecord } from "@spillway/transport/Producer"
import * as RecordBatch from "../../RecordBatch.js"
import { keyOf } from "../topicPartition.js"

export interface Source extends TopicPartition {
  readonly offset: number
}

export interface Entry {
  readonly source: Source
  readonly records: ReadonlyArray<ProducerRecord>
  /** Of the records, and of the source's record once it is kept. */
  readonly bytes: number
  /** The source's record, with which it can be handled again; known when it has its outcome. */
  readonly record?: ConsumedRecord
}

interface OfPartition {
  /** By the source's offset. */
  readonly entries: Map<number, Entry>
  bytes: number
  /** The offsets of records that are handled again: nothing from the first of them on can be committed. */
  readonly repeated: Set<number>
}

/** Changed by the functions of this file alone. */
export interface Outbox {
  readonly partitions: Map<string, OfPartition>
  /**
   * Of all partitions but those that wait for a record that is handled again: what can't be committed yet mustn't keep
   * that record, or other partitions, from starting.
   */
  bytes: number
}

export const make = (): Outbox => ({ partitions: new Map(), bytes: 0 })

const count = (outbox: Outbox, partition: OfPartition, bytes: number): void => {
  partition.bytes += bytes
  if (partition.repeated.size === 0) outbox.bytes += bytes
}

const remove = (outbox: Outbox, partition: OfPartition, { bytes, source }: Entry): void => {
  if (partition.entries.delete(source.offset)) count(outbox, partition, -bytes)
}

/** Changes which records are handled again, and what is counted by it. */
const change = (outbox: Outbox, partition: OfPartition, step: (repeated: Set<number>) => void): void => {
  const wasCounted = partition.repeated.size === 0
  step(partition.repeated)
  const isCounted = partition.repeated.size === 0
  if (wasCounted !== isCounted) outbox.bytes += isCounted ? partition.bytes : -partition.bytes
}

/** Puts what came of a record in the place of what came of it before. */
export const put = (outbox: Outbox, entry: Entry): void => {
  const { offset } = entry.source
  const key = keyOf(entry.source)
  const partition = outbox.partitions.get(key) ?? { entries: new Map(), bytes: 0, repeated: new Set() }
  outbox.partitions.set(key, partition)
  const before = partition.entries.get(offset)
  if (before !== undefined) remove(outbox, partition, before)
  if (entry.records.length === 0) return
  partition.entries.set(offset, entry)
  count(outbox, partition, entry.bytes)
}

const own = (bytes: Uint8Array | null): Uint8Array | null => (bytes === null ? null : new Uint8Array(bytes))

/** A copy without the batch of which the record is a view. */
const copyOf = ({ headers, key, offset, partition, timestamp, topic, value }: ConsumedRecord): ConsumedRecord => ({
  topic,
  partition,
  offset,
  timestamp,
  key: own(key),
  value: own(value),
  headers: headers.map(([name, bytes]) => [name, own(bytes)])
})

/** The record has its outcome: it is kept for as long as what came of it. */
export const keep = (outbox: Outbox, record: ConsumedRecord): void => {
  const partition = outbox.partitions.get(keyOf(record))
  if (partition === undefined) return
  const entry = partition.entries.get(record.offset)
  if (entry !== undefined && entry.record === undefined) {
    const bytes = RecordBatch.recordSize(record)
    partition.entries.set(record.offset, { ...entry, bytes: entry.bytes + bytes, record: copyOf(record) })
    count(outbox, partition, bytes)
  }
  if (partition.repeated.size > 0) change(outbox, partition, (repeated) => repeated.delete(record.offset))
}

/** Takes out what can't be written, for its record to be handled again. */
export const repeat = (outbox: Outbox, entry: Entry): void => {
  const partition = outbox.partitions.get(keyOf(entry.source))
  if (partition?.entries.get(entry.source.offset) !== entry) return
  remove(outbox, partition, entry)
  change(outbox, partition, (repeated) => repeated.add(entry.source.offset))
}

/** What came of the records before the offsets, by partition in their order. */
export const before = ({ partitions }: Outbox, offsets: ReadonlyArray<Source>): ReadonlyArray<Entry> =>
  offsets.flatMap((end) =>
    Array.from(partitions.get(keyOf(end))?.entries.values() ?? [])
      .filter(({ source }) => source.offset < end.offset)
      .sort((one, other) => one.source.offset - other.source.offset)
  )

const dropWhere = (outbox: Outbox, key: string, isDropped: (offset: number) => boolean): void => {
  const partition = outbox.partitions.get(key)
  if (partition === undefined) return
  for (const entry of [...partition.entries.values()]) {
    if (isDropped(entry.source.offset)) remove(outbox, partition, entry)
  }
  change(outbox, partition, (repeated) => {
    for (const offset of [...repeated]) if (isDropped(offset)) repeated.delete(offset)
  })
}

/** Drops what is committed. */
export const settle = (outbox: Outbox, committed: ReadonlyArray<Source>): void => {
  for (const end of committed) dropWhere(outbox, keyOf(end), (offset) => offset < end.offset)
}

/** Drops what came of a partition's records: they are handled again, here or elsewhere. */
export const drop = (outbox: Outbox, partition: TopicPartition): void => {
  dropWhere(outbox, keyOf(partition), () => true)
}
