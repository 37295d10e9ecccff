/**
 * A send and its records, and the batches and the queue that they wait in. They refer to each other; `pendingSend.ts`
 * writes the first two, `partitionQueue.ts` the others.
 */
import type { ProducerError, ProducerRecord, RecordMetadata } from "@spillway/transport/Producer"
import type { EncodableRecord } from "../../RecordBatch.js"
import type * as Backoff from "../concurrency/backoff.js"
import type { Failure, Verdict } from "./decisions.js"
import type * as Sequence from "./sequence.js"

/** A record on its way. */
export interface Entry {
  readonly call: Call
  readonly index: number
  readonly topic: string
  /** -1 until it is chosen: for a record without a key, when it is added to a batch. */
  partition: number
  readonly record: EncodableRecord
  /** The most bytes that it takes in a batch. */
  readonly size: number
  /** The batch that it was added to. */
  batch: Batch | undefined
  /** It has its result, or nobody waits for it any more. */
  settled: boolean
}

export type Result = RecordMetadata | ProducerError

export interface Call {
  readonly records: ReadonlyArray<ProducerRecord>
  /** Milliseconds of the monotonic clock. */
  readonly acceptedAt: number
  /** Of the records that are valid, in their order. */
  readonly entries: Array<Entry>
  /** How many entries have been added to batches. */
  placed: number
  /** By the records' indices. */
  readonly results: Array<Result | undefined>
  unsettled: number
  /** What it last failed by, while that is being retried. */
  trouble: Failure | undefined
  /** It has ended: each record has its result, or its caller is gone. */
  over: boolean
  readonly onDone: (call: Call) => void
}

export interface Batch {
  readonly lane: Lane
  entries: Array<Entry>
  /** How many entries were withdrawn and not yet removed. */
  withdrawn: number
  /** The most bytes that it takes, before compression, without what was withdrawn. */
  bytes: number
  /** It may leave; until it does, it takes more records. */
  ready: boolean
  inFlight: boolean
  /** It has left at least once: what it holds may have been written, and stays as it is. */
  sent: boolean
  /** How often it has left. */
  attempts: number
  /** From its first departure on, where the lane has a sequence. */
  stamp: Sequence.Stamp | undefined
  /** Where the batch was numbered that this is the first half of. */
  baseSequence: number | undefined
}

export interface Lane {
  readonly topic: string
  readonly partition: number
  batches: Array<Batch>
  /** How many batches are in flight; the first ones, unless it is in trouble. */
  inFlight: number
  /** Why a batch is to be sent again. Until then, nothing else leaves. */
  trouble: Extract<Verdict, { readonly _tag: "Retry" }> | undefined
  /** Undefined until the first batch leaves, and always when the producer isn't idempotent. */
  sequence: Sequence.Sequence | undefined
  /** The producer id that it has to do without from now on. */
  spentId: bigint | undefined
  /**
   * The broker refuses the oldest batch as out of order, or will refuse those after it: as soon as nothing is in flight
   * they are numbered anew. Nothing after the oldest was written, for brokers write in sequence.
   */
  mustRenumber: boolean
  /**
   * The place of the batch that is asked for next because those before it were refused as out of order though they may
   * have been written; 0: none. A broker that took over or restarted may remember the last batch alone: where that is
   * one of these, it takes it for written, and so were those before.
   */
  probing: number
  /** The node id of the broker that its batches in flight went to. */
  nodeId: number
  /** It waits for its turn in a request. */
  isOffered: boolean
  /** Shrinks when the broker finds a batch too large. */
  maxBytes: number
  /** When the cluster first said that it doesn't know the partition; milliseconds of the monotonic clock. */
  unknownSince: number | undefined
  readonly backoff: Backoff.Backoff
}
