/**
 * One `send` or `sendAll` from its acceptance until each of its records has its result.
 */
import { ProducerError, type ProducerRecord, type RecordMetadata } from "@spillway/transport/Producer"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { Failure } from "./decisions.js"
import type { Call, Entry, Result } from "./types.js"

export type { Call, Entry, Result }

export const make = (
  records: ReadonlyArray<ProducerRecord>,
  acceptedAt: number,
  onDone: (call: Call) => void
): Call => ({
  records,
  acceptedAt,
  entries: [],
  placed: 0,
  results: records.length === 1 ? [undefined] : new Array<Result | undefined>(records.length),
  unsettled: records.length,
  trouble: undefined,
  over: false,
  onDone
})

export const errorOf = (
  records: ReadonlyArray<ProducerRecord>,
  index: number,
  partition: number | undefined,
  { cause, description, reason }: Failure
): ProducerError => {
  const record = records[index]!
  return new ProducerError({
    reason,
    topic: record?.topic,
    partition: partition ?? record?.partition,
    description: records.length === 1 ? description : `record ${index} of ${records.length}: ${description}`,
    cause,
    record
  })
}

const settle = (call: Call, index: number, result: Result): void => {
  call.results[index] = result
  if (--call.unsettled > 0) return
  call.over = true
  call.onDone(call)
}

export const acknowledge = (entry: Entry, metadata: RecordMetadata): void => {
  if (entry.settled) return
  entry.settled = true
  settle(entry.call, entry.index, metadata)
}

export const reject = (entry: Entry, failure: Failure): void => {
  if (entry.settled) return
  entry.settled = true
  const { call, index, partition } = entry
  settle(call, index, errorOf(call.records, index, partition < 0 ? undefined : partition, failure))
}

/** Fails a record that has no entry. */
export const refuse = (call: Call, index: number, failure: Failure): void =>
  settle(call, index, errorOf(call.records, index, undefined, failure))

/** Ends the call by one record's failure; none of its records may have been placed. */
export const refuseAll = (call: Call, index: number, failure: Failure): void => {
  if (call.over) return
  call.results[index] = errorOf(call.records, index, undefined, failure)
  call.over = true
  call.onDone(call)
}

export const exitOfOne = (result: Result): Effect.Effect<RecordMetadata, ProducerError> =>
  result instanceof ProducerError ? result : Effect.succeed(result)

/** Of a transaction's records one fails by itself, and the others because of it. */
const isRootCause = (result: Result): boolean => result instanceof ProducerError && result.reason !== "Aborted"

export const exitOfAll = (
  results: ReadonlyArray<Result>
): Effect.Effect<ReadonlyArray<RecordMetadata>, ProducerError> => {
  const failed = results.find(isRootCause) ?? results.find((result) => result instanceof ProducerError)
  return failed instanceof ProducerError ? failed : Effect.succeed(results as ReadonlyArray<RecordMetadata>)
}

export const eitherOf = (result: Result): Either.Either<RecordMetadata, ProducerError> =>
  result instanceof ProducerError ? Either.left(result) : Either.right(result)
