/**
 * Converts users' records to encodable ones.
 */

import * as Headers from "@spillway/transport/Headers"
import type { ProducerRecord } from "@spillway/transport/Producer"
import * as Diagnosis from "@spillway/transport/runtime/Diagnosis"
import type { EncodableRecord } from "../../RecordBatch.js"
import * as RecordBatch from "../../RecordBatch.js"
import type { Failure } from "./decisions.js"
import * as Partitioner from "./partitioner.js"

const encoder = new TextEncoder()

const invalid = (description: string): Failure => ({ reason: "InvalidRecord", description })

const isBytes = (value: unknown): boolean => value === null || value instanceof Uint8Array

const isField = (value: unknown): boolean => typeof value === "string" || isBytes(value)

/** A copy: the caller may change its bytes before the record has been written, or written again. */
const encodeField = (value: string | Uint8Array | null): Uint8Array | null =>
  typeof value === "string" ? encoder.encode(value) : value === null ? null : Buffer.from(value)

/** The record with its fields as bytes, or its error; JavaScript callers can bypass the types. */
export const prepare = (record: ProducerRecord, now: number): EncodableRecord | Failure => {
  try {
    return read(record, now)
  } catch (cause) {
    return { ...invalid("it can't be read"), cause: Diagnosis.carried(cause) }
  }
}

const read = (record: ProducerRecord, now: number): EncodableRecord | Failure => {
  if (typeof record !== "object" || record === null) return invalid("it must be an object")
  const { key = null, partition, timestamp = now, topic, value } = record
  if (typeof topic !== "string" || topic === "") return invalid("its topic must be a name")
  if (!isField(key)) return invalid("its key must be text, bytes or null")
  if (!isField(value)) return invalid("its value must be text, bytes or null")
  if (!Number.isSafeInteger(timestamp) || timestamp < 0) {
    return invalid(`its timestamp must be whole milliseconds since the epoch, not ${timestamp}`)
  }
  const issue = partition == null ? undefined : Partitioner.issueOf(partition, Number.POSITIVE_INFINITY)
  if (issue !== undefined) return invalid(`its partition must be ${issue}`)
  const headers = Headers.decodeUnknown(record.headers)
  if (headers._tag === "Left") return invalid(`its ${headers.left}`)
  return { key: encodeField(key), value: encodeField(value), headers: headers.right, timestamp }
}

/** The most bytes that a record takes in a batch, or the error if no batch has room for it. */
export const sizeOf = (record: EncodableRecord, maxBatchBytes: number): number | Failure => {
  const size = RecordBatch.recordSize(record)
  const room = maxBatchBytes - RecordBatch.batchOverhead
  return size <= room
    ? size
    : { reason: "RecordTooLarge", description: `its ${size} bytes exceed the ${room} of a batch` }
}
