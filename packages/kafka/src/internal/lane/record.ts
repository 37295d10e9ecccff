import type { ConsumedRecord } from "@spillway/transport/Envelope"
import type { Headers } from "@spillway/transport/Headers"
import type { DecodedRecord } from "../../RecordBatch.js"

/** A view of a decoded record with its coordinates, so that a record costs one small object. */
export class LaneRecord implements ConsumedRecord {
  constructor(
    readonly topic: string,
    readonly partition: number,
    private readonly record: DecodedRecord
  ) {}
  get offset(): number {
    return this.record.offset
  }
  get timestamp(): number {
    return this.record.timestamp
  }
  get key(): Uint8Array | null {
    return this.record.key
  }
  get value(): Uint8Array | null {
    return this.record.value
  }
  get headers(): Headers {
    return this.record.headers
  }
}
