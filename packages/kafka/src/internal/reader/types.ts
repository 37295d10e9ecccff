/**
 * The options and the error of `KafkaReader`.
 */
import type { Position } from "@spillway/transport/Position"
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import type { IsolationLevel } from "../../Protocol.js"

/** The partitions to read, where to start and stop, and limits. */
export interface ReadOptions {
  /** The name of the topic to read. */
  readonly topic: string
  /** Default: all partitions that the topic has at the start. */
  readonly partitions?: ReadonlyArray<number> | undefined
  /** Where to start in each partition. Default: `Position.beginning`. */
  readonly from?: Position | undefined
  /**
   * Where to stop in each partition: before the record at this position. `"forever"` continues with records as they are
   * written. An offset beyond the end of the log is waited for. Default: `Position.end`, the end of the log at the
   * start.
   */
  readonly to?: Position | "forever" | undefined
  /**
   * `read_committed` leaves out the records of aborted transactions and ends before the first open one. Kafka's
   * `isolation.level`. Default: `"read_committed"`.
   */
  readonly isolationLevel?: IsolationLevel | undefined
  /**
   * Limit of bytes that are fetched and not yet taken from the stream, as they are in memory. One fetched batch, or one
   * record, may exceed it. Default: 64 MiB.
   */
  readonly maxBufferedBytes?: number | undefined
  /** Limit of bytes in one response. Kafka's `fetch.max.bytes`. Default: 16 MiB. */
  readonly fetchMaxBytes?: number | undefined
  /** Limit of bytes of one partition in a response. Kafka's `max.partition.fetch.bytes`. Default: 1 MiB. */
  readonly fetchMaxPartitionBytes?: number | undefined
  /** Limit of bytes of one record of a compressed batch. Default: 64 MiB. */
  readonly maxRecordBytes?: number | undefined
  /**
   * How long a broker waits for new records before it answers without any. Kafka's `fetch.max.wait.ms`. Default: 500
   * milliseconds.
   */
  readonly fetchMaxWait?: Duration.DurationInput | undefined
  /** How long the cluster may not know the topic, such as a new one. Default: 5 seconds. */
  readonly unknownTopicTimeout?: Duration.DurationInput | undefined
}

/** Why reading can't continue. */
export type KafkaReaderErrorReason =
  /** The cluster doesn't know the topic, or it was deleted, perhaps created again, while it was read. */
  | "UnknownTopic"
  /** The topic has no such partition. */
  | "UnknownPartition"
  /** The log doesn't hold the offset: it starts later, or ends earlier. */
  | "OffsetOutOfRange"
  /** A batch can't be read, such as one with a wrong checksum or a record that is too large. */
  | "CorruptBatch"
  /** Reading the topic isn't permitted, or the credentials were refused. */
  | "Authorization"
  /** The broker supports no version of a request that Spillway supports. */
  | "UnsupportedBroker"

/** Reading ended before its end. Records before `offset` have been emitted. */
export class KafkaReaderError extends Data.TaggedError("KafkaReaderError")<{
  /** The kind of failure. */
  readonly reason: KafkaReaderErrorReason
  /** The topic that was read. */
  readonly topic: string
  /** The partition's number; absent if the error concerns the whole topic. */
  readonly partition?: number | undefined
  /** The offset that could not be read; absent if the error concerns no offset. */
  readonly offset?: number | undefined
  /** The failure in words, with the broker's error code if there is one. */
  readonly description: string
  /** The error that led to this one, such as a `WireError` or `RecordBatchError`, if any. */
  readonly cause?: unknown
}> {
  override get message(): string {
    const place = this.partition === undefined ? this.topic : `${this.topic}-${this.partition}`
    const at = this.offset === undefined ? "" : ` at offset ${this.offset}`
    return `${this.reason}: ${place}${at}: ${this.description}`
  }
}
