/**
 * The argument of a handler: a record of a topic with its decoded key and value.
 */
import * as Option from "effect/Option"
import { getText, type Headers } from "./Headers.js"

/** Fields are read from the record on access: use `map` rather than a spread to derive another envelope. */
export interface Envelope<out A, out K = Uint8Array | null> {
  /** The id of the event, see `eventIdOf`. Retries and dead letters keep it. */
  readonly eventId: string
  /** The decoded value. */
  readonly value: A
  /** The decoded key. Without a key codec: its bytes, or null if the record has none. */
  readonly key: K
  /** The record's headers, in order. */
  readonly headers: Headers
  /** The topic's name. */
  readonly topic: string
  /** The partition's number. */
  readonly partition: number
  /** Offsets are safe integers: a record beyond 2^53 - 1 fails to decode rather than lose precision. */
  readonly offset: number
  /**
   * Milliseconds since the epoch: the producer's create time, or the broker's append time if the topic is configured
   * so.
   */
  readonly timestamp: number
  /** 1 for the first attempt in this assignment of the partition, 2 for the first retry, … */
  readonly attempt: number
}

/** A record as read, its fields still bytes: the input of a codec, preserved by a dead letter. */
export interface ConsumedRecord {
  /** The topic's name. */
  readonly topic: string
  /** The partition's number. */
  readonly partition: number
  /** The record's offset in the partition. */
  readonly offset: number
  /** Milliseconds since the epoch; see `Envelope`. */
  readonly timestamp: number
  /** The key's bytes; null if the record has none. */
  readonly key: Uint8Array | null
  /** The value's bytes; null for a tombstone. */
  readonly value: Uint8Array | null
  /** The record's headers, in order. */
  readonly headers: Headers
}

/** The header that carries an event's id across topics. */
export const eventIdHeader = "x-event-id"

/**
 * The event id of a record: its `x-event-id` header, else `ce_id`, a CloudEvent's in binary mode, else
 * `topic-partition-offset`.
 */
export const eventIdOf = (record: Pick<ConsumedRecord, "headers" | "topic" | "partition" | "offset">): string => {
  const id = (header: string) => Option.filter(getText(record.headers, header), (id) => id !== "")
  return id(eventIdHeader).pipe(
    Option.orElse(() => id("ce_id")),
    Option.getOrElse(() => `${record.topic}-${record.partition}-${record.offset}`)
  )
}

const decoder = new TextDecoder()

/**
 * The key as UTF-8 text; `none` if the record has none. To have keys that aren't text dead-lettered, set the consumer's
 * option `key` to `Codec.text` instead.
 */
export const keyText = (record: Pick<ConsumedRecord, "key">): Option.Option<string> =>
  record.key === null ? Option.none() : Option.some(decoder.decode(record.key))

/** The envelope with another value. */
export const map = <A, B, K>(envelope: Envelope<A, K>, f: (value: A) => B): Envelope<B, K> => ({
  eventId: envelope.eventId,
  value: f(envelope.value),
  key: envelope.key,
  headers: envelope.headers,
  topic: envelope.topic,
  partition: envelope.partition,
  offset: envelope.offset,
  timestamp: envelope.timestamp,
  attempt: envelope.attempt
})
