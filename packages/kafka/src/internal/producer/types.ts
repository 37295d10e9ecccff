/**
 * A send and its records, and the batches and the queue that they wait in. They reference each other. `pendingSend.ts`
 * alone writes sends, `partitionQueue.ts` and its `numbering.ts` alone write queues and batches; an entry's fields say
 * which of the two writes them.
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
  /** The entries of valid records, in order. */
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
  /** The number of entries that were withdrawn and not yet removed. */
  readonly withdrawn: number
  /** The most bytes that it takes, before compression, without withdrawn records. */
  readonly bytes: number
  /** It may be sent; until it is, it takes more records. */
  readonly ready: boolean
  /** It was sent at least once: its records may have been written, so its content no longer changes. */
  readonly sent: boolean
  /** It is in flight now. */
  readonly inFlight: boolean
  /** Its numbers, from its first departure on; undefined when the producer isn't idempotent. */
  readonly numbers: BatchNumbers | undefined
  /** Whether it is written, under its numbers if it has some. */
  readonly written: Written
  /** The numbers of the batch that it was split from, if that one may be written whole. */
  readonly whole: BatchNumbers | undefined
}

/** Whether a batch is written, as far as is known. */
export type Written =
  | "no"
  /** An attempt had no answer. It isn't written if the broker refuses it and all later ones as out of order. */
  | "perhaps"
  /**
   * As above, but only an acknowledgement decides it: a later batch that may be written was split or abandoned, and a
   * broker may remember only that one.
   */
  | "undecidable"
  /** A batch behind it was acknowledged. It is sent again for its offset. */
  | "yes"

export type Retry = Extract<Verdict, { readonly _tag: "Retry" }>

/** The batches for one partition: first the ones in flight, last the one that is being filled. */
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
  /** The producer id that its next sequence must not use. */
  readonly exhaustedId: bigint | undefined
  /** Some numbers of its sequence belong to no batch: it restarts before another batch is numbered. */
  readonly hasGap: boolean
  /**
   * The batches before this one were refused as out of order though they may be written, and it is sent next, alone. A
   * new leader or a restarted broker may remember the last batch only: if it acknowledges this one, the earlier ones
   * are written.
   */
  readonly probed: Batch | undefined
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

/** A mutable view of an object, for the one module that writes it. */
export type Own<T> = {
  -readonly [K in keyof T]: T[K] extends ReadonlyArray<infer A> ? Array<A> : T[K]
}
