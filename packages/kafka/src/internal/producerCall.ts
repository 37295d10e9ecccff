/**
 * One `send` or `sendAll` from its acceptance until each of its records has its result.
 */
import { ProducerError, type RecordMetadata } from "@spillway/transport/Producer"
import * as Deferred from "effect/Deferred"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import type { EncodableRecord } from "../RecordBatch.js"
import type { Failure } from "./producerFailure.js"

export interface Entry {
  readonly call: Call
  readonly index: number
  readonly topic: string
  readonly partition: number
  readonly record: EncodableRecord
  readonly size: number
  settled: boolean
}

export interface Call {
  /** Milliseconds of the monotonic clock. */
  readonly acceptedAt: number
  readonly deadline: number
  /** The first record's topic, for failures before the partitions are chosen. */
  readonly topic: string
  readonly size: number
  /** Empty until the partitions are chosen. */
  entries: ReadonlyArray<Entry>
  readonly results: Array<RecordMetadata>
  unsettled: number
  /** The failure with the lowest index. */
  failure: { readonly index: number; readonly error: ProducerError } | undefined
  /** What it last failed by, while that is being retried. */
  trouble: Failure | undefined
  /** Nobody waits for its records any more: those that aren't in flight needn't be sent. */
  over: boolean
  readonly done: Deferred.Deferred<ReadonlyArray<RecordMetadata>, ProducerError>
  readonly onDone: (call: Call) => void
}

const noEntries: ReadonlyArray<Entry> = []

export const make = (
  topic: string,
  size: number,
  acceptedAt: number,
  deadline: number,
  onDone: (call: Call) => void
): Call => ({
  acceptedAt,
  deadline,
  topic,
  size,
  entries: noEntries,
  results: size === 1 ? [] : new Array<RecordMetadata>(size),
  unsettled: size,
  failure: undefined,
  trouble: undefined,
  over: false,
  done: Deferred.unsafeMake(FiberId.none),
  onDone
})

/** Whether the entry's result is still wanted. */
export const isOpen = (entry: Entry): boolean => !entry.settled && !entry.call.over

export const errorOf = (
  call: { readonly size: number },
  index: number,
  at: { readonly topic: string; readonly partition?: number | undefined },
  { cause, description, reason }: Failure
): ProducerError =>
  new ProducerError({
    reason,
    topic: at.topic,
    partition: at.partition,
    description: call.size === 1 ? description : `record ${index} of ${call.size}: ${description}`,
    cause
  })

const end = (call: Call, exit: Exit.Exit<ReadonlyArray<RecordMetadata>, ProducerError>): void => {
  call.over = true
  Deferred.unsafeDone(call.done, exit)
  call.onDone(call)
}

const settle = (entry: Entry): void => {
  entry.settled = true
  const { call } = entry
  call.unsettled--
  if (call.unsettled === 0) {
    end(call, call.failure === undefined ? Exit.succeed(call.results) : Exit.fail(call.failure.error))
  }
}

export const acknowledge = (entry: Entry, metadata: RecordMetadata): void => {
  if (!isOpen(entry)) return
  entry.call.results[entry.index] = metadata
  settle(entry)
}

export const reject = (entry: Entry, failure: Failure): void => {
  if (!isOpen(entry)) return
  const { call, index } = entry
  if (call.failure === undefined || index < call.failure.index) {
    call.failure = { index, error: errorOf(call, index, entry, failure) }
  }
  settle(entry)
}

/** Ends a call that has no entries yet. */
export const refuse = (call: Call, error: ProducerError): void => {
  if (!call.over) end(call, Exit.fail(error))
}

/** Fails every record of the call that has no result yet. */
export const abort = (call: Call, failure: Failure): void => {
  if (call.entries.length === 0) refuse(call, errorOf(call, 0, call, failure))
  else for (const entry of call.entries) reject(entry, failure)
}

/** Gives the call up without a result: its caller was interrupted. */
export const abandon = (call: Call): void => {
  if (call.over) return
  call.over = true
  call.onDone(call)
}
