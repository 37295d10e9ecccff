/**
 * The service that publishes records. `send` returns when the record is acknowledged.
 */
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Either from "effect/Either"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import type { HeadersInput } from "./Headers.js"

/**
 * A record to publish. It is read, and its bytes are copied, when the sending effect runs: later changes by the caller
 * are not written.
 */
export interface ProducerRecord {
  /** The topic's name. */
  readonly topic: string
  /**
   * Text is encoded as UTF-8. Default: no key. Records with one key go to one partition, the one that Java's producer
   * chooses.
   */
  readonly key?: string | Uint8Array | null | undefined
  /** Text is encoded as UTF-8; null is a tombstone. */
  readonly value: string | Uint8Array | null
  /** An object, a `Map`, or another re-readable iterable of name-value pairs. Default: none. */
  readonly headers?: HeadersInput | undefined
  /** The partition to write to. Default: the partitioner chooses it. */
  readonly partition?: number | undefined
  /** Milliseconds since the epoch; default: now. */
  readonly timestamp?: number | undefined
}

/** The coordinates of an acknowledged record. */
export interface RecordMetadata {
  /** The topic's name. */
  readonly topic: string
  /** The partition that the record was written to. */
  readonly partition: number
  /** The record's offset; -1 if the broker only knows that an earlier try wrote the record. */
  readonly offset: number
  /** The record's timestamp in the log, in milliseconds since the epoch. */
  readonly timestamp: number
}

/** Why a record was not acknowledged. */
export type ProducerErrorReason =
  /** The topic doesn't exist or is hidden from this client. */
  | "UnknownTopic"
  /** It exceeds the producer's `maxBatchBytes`, its `bufferMemory`, or the topic's limit. */
  | "RecordTooLarge"
  /** A field of the record can't be used, the partitioner threw, or the broker found the record invalid. */
  | "InvalidRecord"
  /** The brokers refuse the client's credentials, or its access to the topic. */
  | "Authorization"
  /** Not acknowledged within `deliveryTimeout`: it may have been written anyway. */
  | "DeliveryTimeout"
  /** The producer's `bufferMemory` stayed full for `maxBlock`: the record was not sent. */
  | "BufferFull"
  /** Another producer has fenced this one: it may not write any more. */
  | "Fenced"
  /** The record's transaction is aborted or has ended. */
  | "Aborted"
  /** The producer was closed: if the record was already sent, it may have been written anyway. */
  | "Closed"
  /** The broker refused the record for another reason, which `description` and `cause` show. */
  | "Broker"

/** A record that was not acknowledged. */
export class ProducerError extends Data.TaggedError("ProducerError")<{
  /** Why the record was not acknowledged. */
  readonly reason: ProducerErrorReason
  /** The record's topic. */
  readonly topic: string
  /** The record's partition; `undefined` if none was chosen. */
  readonly partition?: number | undefined
  /** Details for people, without the record's content. */
  readonly description: string
  /** The error behind it, if any: the wire's, or the partitioner's. */
  readonly cause?: unknown
}> {
  /** The record as given, if there is one. Not enumerable, so that logging the error shows no record content. */
  declare readonly record: ProducerRecord | undefined

  constructor(fields: {
    readonly reason: ProducerErrorReason
    readonly topic: string
    readonly partition?: number | undefined
    readonly description: string
    readonly cause?: unknown
    readonly record?: ProducerRecord | undefined
  }) {
    const { record, ...shown } = fields
    super(shown)
    Object.defineProperty(this, "record", { value: record })
  }

  override get message(): string {
    const at = this.partition === undefined ? this.topic : `${this.topic}-${this.partition}`
    return `${this.reason}: ${at}: ${this.description}`
  }
}

/** The service that publishes records. */
export class Producer extends Context.Tag("@spillway/transport/Producer")<
  Producer,
  {
    /** Publishes one record and returns its coordinates. */
    readonly send: (record: ProducerRecord) => Effect.Effect<RecordMetadata, ProducerError>
    /**
     * Publishes records, in order within each partition, once all of them are valid. Ends when each record has its
     * result; fails with the error of the first record that failed.
     */
    readonly sendAll: (
      records: ReadonlyArray<ProducerRecord>
    ) => Effect.Effect<ReadonlyArray<RecordMetadata>, ProducerError>
    /** Publishes records as `sendAll` does, but independently: returns one result per record, in order. */
    readonly sendAllEither: (
      records: ReadonlyArray<ProducerRecord>
    ) => Effect.Effect<ReadonlyArray<Either.Either<RecordMetadata, ProducerError>>>
    /** The number of a topic's partitions; fails with `UnknownTopic` if it doesn't exist. */
    readonly partitions: (topic: string) => Effect.Effect<number, ProducerError>
  }
>() {}

/**
 * Publishes a stream chunk by chunk with `sendAll`, and ends with the number of records; fails with the first error.
 */
export const sink: Sink.Sink<number, ProducerRecord, never, ProducerError, Producer> = Sink.foldLeftChunksEffect(
  0,
  (sent, records: Chunk.Chunk<ProducerRecord>) =>
    Effect.flatMap(Producer, (producer) =>
      Effect.map(producer.sendAll(Chunk.toReadonlyArray(records)), ({ length }) => sent + length)
    )
)

/**
 * Publishes a stream's records and emits their coordinates, in order. Up to `concurrency` chunks (default: 5) are in
 * flight at once, started in the stream's order.
 */
export const stream =
  (options?: { readonly concurrency?: number | undefined }) =>
  <E, R>(
    records: Stream.Stream<ProducerRecord, E, R>
  ): Stream.Stream<RecordMetadata, E | ProducerError, R | Producer> =>
    Stream.unwrap(
      Effect.map(Producer, (producer) =>
        Stream.chunks(records).pipe(
          Stream.mapEffect((chunk) => producer.sendAll(Chunk.toReadonlyArray(chunk)), {
            concurrency: options?.concurrency ?? 5
          }),
          Stream.flattenIterables
        )
      )
    )
