/**
 * The service that publishes records. `send` returns when the record is acknowledged.
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import type { HeadersInput } from "./Headers.js"

export interface ProducerRecord {
  readonly topic: string
  /** Text is encoded as UTF-8. Records of one key go to one partition, the one Java's producer chooses. */
  readonly key?: string | Uint8Array | null | undefined
  /** Text is encoded as UTF-8; null is a tombstone. */
  readonly value: string | Uint8Array | null
  readonly headers?: HeadersInput | undefined
  /** Overrides the partitioner. */
  readonly partition?: number | undefined
  /** Milliseconds since the epoch; default: now. */
  readonly timestamp?: number | undefined
}

export interface RecordMetadata {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** Milliseconds since the epoch. */
  readonly timestamp: number
}

export type ProducerErrorReason =
  | "UnknownTopic"
  | "RecordTooLarge"
  | "InvalidRecord"
  | "Authorization"
  | "DeliveryTimeout"
  | "Closed"
  | "Broker"

/** A record that was not acknowledged. With `DeliveryTimeout` it may have been written all the same. */
export class ProducerError extends Data.TaggedError("ProducerError")<{
  readonly reason: ProducerErrorReason
  readonly topic: string
  readonly partition?: number | undefined
  readonly description: string
  readonly cause?: unknown
}> {
  override get message(): string {
    const at = this.partition === undefined ? this.topic : `${this.topic}-${this.partition}`
    return `${this.reason}: ${at}: ${this.description}`
  }
}

export class Producer extends Context.Tag("@spillway/transport/Producer")<
  Producer,
  {
    /** Publishes one record and returns where it landed. */
    readonly send: (record: ProducerRecord) => Effect.Effect<RecordMetadata, ProducerError>
    /** Publishes records, keeping their order within each partition; fails with the first record's error that failed. */
    readonly sendAll: (
      records: ReadonlyArray<ProducerRecord>
    ) => Effect.Effect<ReadonlyArray<RecordMetadata>, ProducerError>
    /** How many partitions a topic has; fails with `UnknownTopic` when it doesn't exist. */
    readonly partitions: (topic: string) => Effect.Effect<number, ProducerError>
  }
>() {}
