/**
 * A topic with the codecs of its records' keys and values, to publish typed records and to consume them.
 *
 * A consumer takes the codecs from it: `{ topics: [orders.name], key: orders.key, value: orders.value }`.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Codec from "./Codec.js"
import type { HeadersInput } from "./Headers.js"
import * as Headers from "./Headers.js"
import { Producer, type ProducerError, type ProducerRecord, type RecordMetadata } from "./Producer.js"

/** `V` and `K`: the codecs of values and keys. */
export interface Topic<out V extends Codec.Encoder<never>, out K extends Codec.Encoder<never>> {
  /** The topic's name. */
  readonly name: string
  /** The codec of the keys. */
  readonly key: K
  /** The codec of the values. */
  readonly value: V
}

/** The values that a codec encodes. */
export type Encoded<C extends Codec.Encoder<never>> = C extends Codec.Encoder<infer A> ? A : never

/** A record whose key and value are not yet bytes. */
export interface TopicRecord<out V, out K> extends Omit<ProducerRecord, "topic" | "key" | "value" | "headers"> {
  /** The key, before it is encoded. */
  readonly key: K
  /** The value, before it is encoded. */
  readonly value: V
  /** An object, a `Map`, or another re-readable iterable of name-value pairs. Default: none. */
  readonly headers?: HeadersInput | undefined
}

/** A topic by its name and codecs. Default for `key`: `Codec.bytes`. */
export const make = <V extends Codec.Encoder<never>, K extends Codec.Encoder<never> = Codec.Codec<Uint8Array | null>>(
  name: string,
  { key, value }: { readonly value: V; readonly key?: K | undefined }
): Topic<V, K> =>
  // Without a key codec, `K` has its default.
  ({ name, key: key ?? (Codec.bytes as Codec.Encoder<never> as K), value })

/** Encodes a record for a topic. Fails with the `EncodeError` of its key or value. */
export const encode = <V extends Codec.Encoder<never>, K extends Codec.Encoder<never>>(
  topic: Topic<V, K>,
  record: TopicRecord<Encoded<V>, Encoded<K>>
): Effect.Effect<ProducerRecord, Codec.EncodeError> =>
  Effect.suspend(() => {
    const { key, value, ...rest } = record
    // The producer reports headers that it can't use.
    const headers = Either.getOrElse(Headers.decodeUnknown(record.headers ?? []), () => Headers.empty)
    const context = { topic: topic.name, headers }
    const encodeKey = topic.key.encode(key as never, { ...context, part: "key" })
    const encodeValue = topic.value.encode(value as never, { ...context, part: "value" })
    return Effect.zipWith(encodeKey, encodeValue, (key, value) => ({ ...rest, topic: topic.name, key, value }))
  })

/** Publishes one record to a topic, as `Producer.send` does. */
export const send = <V extends Codec.Encoder<never>, K extends Codec.Encoder<never>>(
  topic: Topic<V, K>,
  record: TopicRecord<Encoded<V>, Encoded<K>>
): Effect.Effect<RecordMetadata, Codec.EncodeError | ProducerError, Producer> =>
  Effect.flatMap(encode(topic, record), (encoded) => Effect.flatMap(Producer, ({ send }) => send(encoded)))

/** Publishes records to a topic, as `Producer.sendAll` does. If one can't be encoded, none is published. */
export const sendAll = <V extends Codec.Encoder<never>, K extends Codec.Encoder<never>>(
  topic: Topic<V, K>,
  records: ReadonlyArray<TopicRecord<Encoded<V>, Encoded<K>>>
): Effect.Effect<ReadonlyArray<RecordMetadata>, Codec.EncodeError | ProducerError, Producer> =>
  Effect.flatMap(
    Effect.forEach(records, (record) => encode(topic, record)),
    (encoded) => Effect.flatMap(Producer, ({ sendAll }) => sendAll(encoded))
  )
