/**
 * One `send` or `sendAll` from its acceptance until each of its records has its result.
 */
import { ProducerError, type ProducerRecord, type RecordMetadata } from "@spillway/transport/Producer"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { EncodableRecord } from "../../RecordBatch.js"
import type { Failure } from "./decisions.js"
import type { Entry, Own, PendingSend, Result } from "./types.js"

export type { Entry, PendingSend, Result }

const ownSend = (send: PendingSend): Own<PendingSend> => send as Own<PendingSend>
const ownEntry = (entry: Entry): Own<Entry> => entry as Own<Entry>

export const make = (
  records: ReadonlyArray<ProducerRecord>,
  acceptedAt: number,
  onDone: (send: PendingSend) => void
): PendingSend => ({
  records,
  acceptedAt,
  entries: [],
  placed: 0,
  results: records.length === 1 ? [undefined] : new Array<Result | undefined>(records.length),
  unsettled: records.length,
  lastFailure: undefined,
  over: false,
  onDone
})

/** The topic and partition that a record names, which may be neither text nor a number, nor readable. */
const coordinatesOf = (record: ProducerRecord): Pick<ProducerRecord, "topic" | "partition"> => {
  try {
    const { partition, topic } = record
    return { topic: String(topic), partition: typeof partition === "number" ? partition : undefined }
  } catch {
    return { topic: String(undefined) }
  }
}

export const errorOf = (
  records: ReadonlyArray<ProducerRecord>,
  index: number,
  partition: number | undefined,
  { cause, description, reason }: Failure
): ProducerError => {
  const record = records[index]!
  const given = coordinatesOf(record)
  return new ProducerError({
    reason,
    topic: given.topic,
    partition: partition ?? given.partition,
    description: records.length === 1 ? description : `record ${index} of ${records.length}: ${description}`,
    cause,
    record
  })
}

/** Adds a valid record to the send. */
export const addEntry = (
  send: PendingSend,
  index: number,
  topic: string,
  partition: number,
  record: EncodableRecord,
  size: number
): void => {
  ownSend(send).entries.push({ send, index, topic, partition, record, size, batch: undefined, settled: false })
}

/** Chooses the entry's partition; -1: the sticky one at the time when it is added to a batch. */
export const choosePartition = (entry: Entry, partition: number): void => {
  ownEntry(entry).partition = partition
}

/** The next of the send's entries is in a batch, or needs none. */
export const advance = (send: PendingSend): void => {
  ownSend(send).placed++
}

/** The send is being retried. */
export const retrying = (send: PendingSend, failure: Failure): void => {
  ownSend(send).lastFailure = failure
}

const settle = (send: PendingSend, index: number, result: Result): void => {
  const own = ownSend(send)
  own.results[index] = result
  if (--own.unsettled > 0) return
  own.over = true
  own.onDone(send)
}

export const acknowledge = (entry: Entry, metadata: RecordMetadata): void => {
  if (entry.settled) return
  ownEntry(entry).settled = true
  settle(entry.send, entry.index, metadata)
}

export const reject = (entry: Entry, failure: Failure): void => {
  if (entry.settled) return
  ownEntry(entry).settled = true
  const { send, index, partition } = entry
  settle(send, index, errorOf(send.records, index, partition < 0 ? undefined : partition, failure))
}

/** Fails a record that has no entry. */
export const refuse = (send: PendingSend, index: number, failure: Failure): void =>
  settle(send, index, errorOf(send.records, index, undefined, failure))

/** Ends the send with one record's failure; none of its records may be in a batch. */
export const refuseAll = (send: PendingSend, index: number, failure: Failure): void => {
  if (send.over) return
  const own = ownSend(send)
  own.results[index] = errorOf(send.records, index, undefined, failure)
  own.over = true
  own.onDone(send)
}

/** Settles an entry before it is in a batch; its result is recorded separately. */
export const drop = (entry: Entry): void => {
  ownEntry(entry).settled = true
}

/** Ends the send without results; `onEntry` is called with each entry that had none, once that is settled. */
export const abandon = (send: PendingSend, onEntry: (entry: Entry) => void): void => {
  ownSend(send).over = true
  for (const entry of send.entries) {
    if (entry.settled) continue
    drop(entry)
    onEntry(entry)
  }
}

export const exitOfOne = (result: Result): Effect.Effect<RecordMetadata, ProducerError> =>
  result instanceof ProducerError ? result : Effect.succeed(result)

/** In a transaction one record fails by itself, and the others because of it. */
const isRootCause = (result: Result): boolean => result instanceof ProducerError && result.reason !== "Aborted"

export const exitOfAll = (
  results: ReadonlyArray<Result>
): Effect.Effect<ReadonlyArray<RecordMetadata>, ProducerError> => {
  const failed = results.find(isRootCause) ?? results.find((result) => result instanceof ProducerError)
  return failed instanceof ProducerError ? failed : Effect.succeed(results as ReadonlyArray<RecordMetadata>)
}

export const eitherOf = (result: Result): Either.Either<RecordMetadata, ProducerError> =>
  result instanceof ProducerError ? Either.left(result) : Either.right(result)
