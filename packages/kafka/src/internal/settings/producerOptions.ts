/**
 * The options of a producer.
 */
import type { Headers } from "@spillway/transport/Headers"
import type * as Duration from "effect/Duration"
import type { Compression } from "../recordBatch/types.js"

/** The arguments of a custom partitioner: the record as it will be written. */
export interface PartitionerInput {
  /** The topic's name. */
  readonly topic: string
  /** null for a record without a key. */
  readonly key: Uint8Array | null
  /** null for a tombstone. */
  readonly value: Uint8Array | null
  /** In order; names may repeat. */
  readonly headers: Headers
  /** The topic's number of partitions: at least 1. */
  readonly partitions: number
}

/** A producer's options; each has a default. */
export interface KafkaProducerOptions {
  /**
   * How long a batch that isn't full waits for more records. 0: records sent in one turn of the event loop leave
   * together at its end. Default: up to 5 milliseconds, but only while the broker is still busy with a request of this
   * producer; so a caller that sends one record at a time waits for nothing but the broker.
   */
  readonly linger?: Duration.DurationInput | undefined
  /**
   * Whether a record is written once even if its batch is sent again: the broker recognizes batches by their sequence
   * (KIP-98). Before Kafka 2.8 this needs the operation IdempotentWrite on the cluster. Without it, one batch per
   * partition is in flight instead of up to five, and a record may be written twice if its acknowledgement is lost.
   * Default: true.
   */
  readonly idempotent?: boolean | undefined
  /** How batches are compressed. Default: `"none"`. */
  readonly compression?: Compression | undefined
  /**
   * The most bytes of one partition's records in a request, before compression; a larger record is refused. Should not
   * exceed the topics' `max.message.bytes`; if it does, batches that the broker refuses are split. Default: 1 MiB.
   */
  readonly maxBatchBytes?: number | undefined
  /** The most records in a batch. Default: 10,000. */
  readonly maxBatchRecords?: number | undefined
  /** The most bytes of records in one request to a broker; at least `maxBatchBytes`. Default: 16 MiB. */
  readonly maxRequestBytes?: number | undefined
  /**
   * The most bytes of records that wait to be sent or acknowledged; at least `maxBatchBytes`. While it is full, further
   * sends wait. Each record counts with its size plus 512 bytes of bookkeeping. Default: 32 MiB.
   */
  readonly bufferMemory?: number | undefined
  /** How long a record may wait for buffer space before it fails with `BufferFull`. Default: 1 minute. */
  readonly maxBlock?: Duration.DurationInput | undefined
  /**
   * Chooses the partition of every record that names none: a number from 0 to `partitions - 1`, or `undefined` for the
   * default. The default is murmur2 of the key, as in Java; records without a key get one partition per batch. Any
   * other result, including a Promise, fails the record with `InvalidRecord`.
   */
  readonly partitioner?: ((record: PartitionerInput) => number | undefined) | undefined
  /**
   * How long the cluster may be unreachable at the start, before the producer fails with `ClusterUnreachable`. Default:
   * none; then a producer starts without a cluster, and a transactional producer waits for it.
   */
  readonly startTimeout?: Duration.DurationInput | undefined
  /** How long to try, from `send` on, before a record fails with `DeliveryTimeout`. Default: 2 minutes. */
  readonly deliveryTimeout?: Duration.DurationInput | undefined
  /**
   * How long a broker may wait for its replicas to have the records. The producer waits for the response for the wire's
   * `requestTimeout`, or for 1.5 times this if that is longer. Default: 20 seconds.
   */
  readonly acknowledgeTimeout?: Duration.DurationInput | undefined
  /** How long the cluster may not know a topic, such as a new one. Default: 5 seconds. */
  readonly unknownTopicTimeout?: Duration.DurationInput | undefined
  /** How long closing waits for records that were already accepted. Default: 30 seconds. */
  readonly drainTimeout?: Duration.DurationInput | undefined
  /**
   * How often a topic in use is checked for new partitions. A topic that is unused for twice as long is forgotten, and
   * looked up again at its next use. Default: 5 minutes.
   */
  readonly metadataMaxAge?: Duration.DurationInput | undefined
}
