/**
 * A producer's options with defaults applied and checked: every issue at once, with field and value.
 */

import type { Headers } from "@spillway/transport/Headers"
import { show } from "@spillway/transport/runtime/Environment"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Compression } from "../../RecordBatch.js"
import * as Codecs from "../recordBatch/compression.js"

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
export interface ProducerOptions {
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
  readonly closeTimeout?: Duration.DurationInput | undefined
  /**
   * How often a topic in use is checked for new partitions. A topic that is unused for twice as long is forgotten, and
   * looked up again at its next use. Default: 5 minutes.
   */
  readonly metadataMaxAge?: Duration.DurationInput | undefined
}

/** Durations in milliseconds. */
export interface ProducerSettings {
  readonly lingerMs: number
  /** Whether batches are sent without lingering when their broker is idle. */
  readonly isEager: boolean
  readonly idempotent: boolean
  readonly compression: Compression
  readonly maxBatchBytes: number
  readonly maxBatchRecords: number
  readonly maxRequestBytes: number
  readonly bufferMemory: number
  readonly maxBlockMs: number
  readonly partitioner: ProducerOptions["partitioner"]
  readonly deliveryTimeoutMs: number
  readonly acknowledgeTimeoutMs: number
  readonly unknownTopicTimeoutMs: number
  readonly closeTimeoutMs: number
  readonly metadataMaxAgeMs: number
}

/** The options are invalid; lists every issue. */
export class KafkaProducerConfigError extends Data.TaggedError("KafkaProducerConfigError")<{
  /** Always the same: one or more options can't be used. */
  readonly reason: "InvalidOptions"
  /** The options that can't be used; at least one. */
  readonly issues: ReadonlyArray<{
    /** The option's name, such as `linger`. */
    readonly field: string
    /** The value that can't be used. */
    readonly value: unknown
    /** The rule that the value breaks. */
    readonly description: string
  }>
}> {
  override get message(): string {
    const issues = this.issues.map(({ field, value, description }) => `${field} ${description}, not ${show(value)}`)
    return `${this.reason}: ${issues.join("; ")}`
  }
}

/** Smaller batches could not hold a useful record. */
const smallestBatch = 1024

export const decode = (options: ProducerOptions): Effect.Effect<ProducerSettings, KafkaProducerConfigError> =>
  Effect.suspend(() => {
    const issues: Array<KafkaProducerConfigError["issues"][number]> = []
    const check = (ok: boolean, field: keyof ProducerOptions, value: unknown, description: string) => {
      if (!ok) issues.push({ field, value, description })
    }
    const millis = (
      field: keyof ProducerOptions,
      input: Duration.DurationInput | undefined,
      fallback: Duration.DurationInput,
      least: number
    ): number => {
      const duration = Duration.decodeUnknown(input ?? fallback)
      const value = Option.isSome(duration) ? Duration.toMillis(duration.value) : Number.NaN
      const limit = least === 0 ? "of zero or more" : `of at least ${least} ms`
      check(value >= least && Number.isFinite(value), field, input, `must be a finite duration ${limit}`)
      return value
    }
    const whole = (field: keyof ProducerOptions, value: number, least: number): number => {
      check(Number.isSafeInteger(value) && value >= least, field, value, `must be a whole number of at least ${least}`)
      return value
    }
    const compression = options.compression ?? "none"
    const compress = Codecs.codec(Codecs.ids[compression])?.compress
    const needs = compress === undefined ? `must be one of ${Codecs.names.join(", ")}` : `needs ${compress}`
    check(typeof compress === "function", "compression", compression, needs)
    const maxBatchBytes = whole("maxBatchBytes", options.maxBatchBytes ?? 1024 * 1024, smallestBatch)
    const { idempotent, partitioner } = options
    check(
      idempotent === undefined || typeof idempotent === "boolean",
      "idempotent",
      idempotent,
      "must be true or false"
    )
    check(
      partitioner === undefined || typeof partitioner === "function",
      "partitioner",
      partitioner,
      "must be a function"
    )
    const settings: ProducerSettings = {
      isEager: options.linger === undefined,
      lingerMs: millis("linger", options.linger, "5 millis", 0),
      idempotent: options.idempotent ?? true,
      compression,
      maxBatchBytes,
      maxBatchRecords: whole("maxBatchRecords", options.maxBatchRecords ?? 10_000, 1),
      maxRequestBytes: whole(
        "maxRequestBytes",
        options.maxRequestBytes ?? Math.max(16 * 1024 * 1024, maxBatchBytes),
        maxBatchBytes
      ),
      bufferMemory: whole(
        "bufferMemory",
        options.bufferMemory ?? Math.max(32 * 1024 * 1024, maxBatchBytes),
        maxBatchBytes
      ),
      maxBlockMs: millis("maxBlock", options.maxBlock, "1 minute", 0),
      partitioner,
      deliveryTimeoutMs: millis("deliveryTimeout", options.deliveryTimeout, "2 minutes", 1),
      acknowledgeTimeoutMs: Math.ceil(millis("acknowledgeTimeout", options.acknowledgeTimeout, "20 seconds", 1)),
      unknownTopicTimeoutMs: millis("unknownTopicTimeout", options.unknownTopicTimeout, "5 seconds", 0),
      closeTimeoutMs: millis("closeTimeout", options.closeTimeout, "30 seconds", 0),
      metadataMaxAgeMs: millis("metadataMaxAge", options.metadataMaxAge, "5 minutes", 1_000)
    }
    return issues.length === 0
      ? Effect.succeed(settings)
      : Effect.fail(new KafkaProducerConfigError({ reason: "InvalidOptions", issues }))
  })
