/**
 * A send and its records, and the batches and the queue that they wait in. They refer to each other. `pendingSend.ts`
 * alone writes sends, `partitionQueue.ts` alone queues and batches; an entry's fields say which of the two writes them.
 */
import type { ProducerError, ProducerRecord, RecordMetadata } from "@spillway/transport/Producer"
import type { EncodableRecord } from "../../RecordBatch.js"
import type * as Backoff from "../concurrency/backoff.js"
import type { Failure, Verdict } from "./decisions.js"
import type { BatchNumbers, Sequence } from "./sequence.js"

/** A record between its send and its result. */
export interface Entry {
  readonly send: PendingSend
  readonly index: number
  readonly topic: string
  /** -1 until it is chosen: for a record without a key, when it is added to a batch. `pendingSend.ts` writes it. */
  readonly partition: number
  readonly record: EncodableRecord
  /** The most bytes that it takes in a batch. */
  readonly size: number
  /** The batch that it was added to. `partitionQueue.ts` writes it. */
  readonly batch: Batch | undefined
  /** It has its result, or its caller was interrupted. `pendingSend.ts` writes it. */
  readonly settled: boolean
}

export type Result = RecordMetadata | ProducerError

/** One `send` or `sendAll`. */
export interface PendingSend {
  readonly records: ReadonlyArray<ProducerRecord>
  /** Milliseconds of the monotonic clock. */
  readonly acceptedAt: number
  /** Of the records that are valid, in their order. */
  readonly entries: ReadonlyArray<Entry>
  /** How many entries have been added to batches. */
  readonly placed: number
  /** By the records' indices. */
  readonly results: ReadonlyArray<Result | undefined>
  readonly unsettled: number
  /** Why it was last retried. */
  readonly lastFailure: Failure | undefined
  /** Each record has its result, or its caller was interrupted. */
  readonly over: boolean
  readonly onDone: (send: PendingSend) => void
}

/** Records of one partition that are sent together. */
export interface Batch {
  readonly queue: PartitionQueue
  readonly entries: ReadonlyArray<Entry>
  /** How many entries were withdrawn and not yet removed. */
  readonly withdrawn: number
  /** The most bytes that it takes, before compression, without what was withdrawn. */
  readonly bytes: number
  /** It may be sent; until it is, it takes more records. */
  readonly ready: boolean
  /** It was sent at least once: its records may have been written, and it takes and loses none. */
  readonly sent: boolean
  /** How often it was sent to this cluster. */
  readonly attempts: number
  /** Its place in the sequence, from its first departure on; undefined when the producer isn't idempotent. */
  readonly numbers: BatchNumbers | undefined
  /** Where the batch was numbered that this is the first half of. */
  readonly baseSequence: number | undefined
}

export type Retry = Extract<Verdict, { readonly _tag: "Retry" }>

/** What the queue knows of the numbers of its batches. */
export type Numbering =
  /** The broker expects the batches by their numbers. */
  | { readonly _tag: "InOrder" }
  /**
   * The broker refuses the oldest batch as out of order, or will refuse those after it: as soon as nothing is in flight
   * they get new numbers. Nothing after the oldest was written, for brokers write in sequence.
   */
  | { readonly _tag: "Renumber" }
  /**
   * The batches before the one at this place were refused as out of order though they may have been written, and it is
   * sent next, alone. A broker that took over or restarted may remember the last batch only: where it knows this one
   * as written, so were those before.
   */
  | { readonly _tag: "Probe"; readonly at: number }

/** The batches on their way to one partition: first those in flight, last the one that still fills. */
export interface PartitionQueue {
  readonly topic: string
  readonly partition: number
  readonly batches: ReadonlyArray<Batch>
  /** How many batches are in flight: the first ones, unless it is retrying. */
  readonly inFlight: number
  /** Why a batch is sent again. Until the retry is due, nothing else leaves. */
  readonly retrying: Retry | undefined
  /** Undefined until the first batch leaves, and always when the producer isn't idempotent. */
  readonly sequence: Sequence | undefined
  /** The producer id that its next sequence can't have. */
  readonly exhaustedId: bigint | undefined
  readonly numbering: Numbering
  /** The node id of the broker that its batches in flight were sent to. */
  readonly nodeId: number
  /** It waits for its turn in a request. */
  readonly isOffered: boolean
  /** Shrinks when the broker finds a batch too large. */
  readonly maxBytes: number
  /** When the cluster first said that it doesn't know the partition; milliseconds of the monotonic clock. */
  readonly unknownSince: number | undefined
  readonly backoff: Backoff.Backoff
}

/** An object as the one module that writes it sees it. */
export type Own<T> = {
  -readonly [K in keyof T]: T[K] extends ReadonlyArray<infer A> ? Array<A> : T[K]
}
