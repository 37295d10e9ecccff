import { type ConsumedRecord, type Envelope, eventIdOf } from "../Envelope.js"
import type { Headers } from "../Headers.js"

/** A view of a record that reads a field only when the handler does. */
class RecordEnvelope<A, K> implements Envelope<A, K> {
  constructor(
    private readonly record: ConsumedRecord,
    readonly key: K,
    readonly value: A,
    readonly attempt: number
  ) {}
  get eventId(): string {
    return eventIdOf(this.record)
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

export const make = <A, K>(record: ConsumedRecord, key: K, value: A, attempt: number): Envelope<A, K> =>
  new RecordEnvelope(record, key, value, attempt)
