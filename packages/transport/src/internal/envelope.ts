import { type ConsumedRecord, type Envelope, eventIdOf } from "../Envelope.js"
import type { Headers } from "../Headers.js"

/** A view of a record that reads a field only when the handler does. */
class RecordEnvelope<A> implements Envelope<A> {
  constructor(
    private readonly record: ConsumedRecord,
    readonly value: A,
    readonly attempt: number
  ) {}
  get eventId(): string {
    return eventIdOf(this.record)
  }
  get key(): Uint8Array | null {
    return this.record.key
  }
  get headers(): Headers {
    return this.record.headers
  }
  get topic(): string {
    return this.record.topic
  }
  get partition(): number {
    return this.record.partition
  }
  get offset(): number {
    return this.record.offset
  }
  get timestamp(): number {
    return this.record.timestamp
  }
}

/** With a decoded key. */
class KeyedEnvelope<A, K> extends RecordEnvelope<A> {
  constructor(
    record: ConsumedRecord,
    private readonly decodedKey: K,
    value: A,
    attempt: number
  ) {
    super(record, value, attempt)
  }
  override get key(): never {
    return this.decodedKey as never
  }
}

export const make = <A>(record: ConsumedRecord, value: A, attempt: number): Envelope<A> =>
  new RecordEnvelope(record, value, attempt)

export const keyed = <A, K>(record: ConsumedRecord, key: K, value: A, attempt: number): Envelope<A, K> =>
  new KeyedEnvelope(record, key, value, attempt)
