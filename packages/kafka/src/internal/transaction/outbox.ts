/**
 * The handlers' results, until they are committed in a transaction with the offsets of their source records. Results
 * are keyed by the source's coordinates: if it is handled again, its new results replace the earlier ones.
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
  /** The size of the results, and of the source record once it is kept. */
  readonly bytes: number
  /** The source record, to handle it again; known once it has its outcome. */
  readonly record?: ConsumedRecord
}

interface OfPartition {
  /** By the source's offset. */
  readonly entries: Map<number, Entry>
  bytes: number
  /** The offsets of records that are being handled again: nothing from the first of them on can be committed. */
  readonly repeated: Set<number>
}

/** Changed only by the functions of this file. */
export interface Outbox {
  readonly partitions: Map<string, OfPartition>
  /**
   * Of all partitions except the ones that wait for a record to be handled again: results that can't be committed yet
   * must not keep that record, or other partitions, from starting.
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

/** Changes the set of records that are handled again, and the counts that depend on it. */
const change = (outbox: Outbox, partition: OfPartition, step: (repeated: Set<number>) => void): void => {
  const wasCounted = partition.repeated.size === 0
  step(partition.repeated)
  const isCounted = partition.repeated.size === 0
  if (wasCounted !== isCounted) outbox.bytes += isCounted ? partition.bytes : -partition.bytes
}

/** Replaces a record's earlier results. */
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

/** A copy that doesn't retain the record's batch. */
const copyOf = ({ headers, key, offset, partition, timestamp, topic, value }: ConsumedRecord): ConsumedRecord => ({
  topic,
  partition,
  offset,
  timestamp,
  key: own(key),
  value: own(value),
  headers: headers.map(([name, bytes]) => [name, own(bytes)])
})

/** The record has its outcome: it is kept as long as its results. */
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

/** Removes results that can't be written, so their source record is handled again. */
export const repeat = (outbox: Outbox, entry: Entry): void => {
  const partition = outbox.partitions.get(keyOf(entry.source))
  if (partition?.entries.get(entry.source.offset) !== entry) return
  remove(outbox, partition, entry)
  change(outbox, partition, (repeated) => repeated.add(entry.source.offset))
}

/** The results of the records before the offsets, by partition in order. */
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

/** Drops committed results. */
export const settle = (outbox: Outbox, committed: ReadonlyArray<Source>): void => {
  for (const end of committed) dropWhere(outbox, keyOf(end), (offset) => offset < end.offset)
}

/** Drops the results of a partition's records: they are handled again, here or elsewhere. */
export const drop = (outbox: Outbox, partition: TopicPartition): void => {
  dropWhere(outbox, keyOf(partition), () => true)
}
