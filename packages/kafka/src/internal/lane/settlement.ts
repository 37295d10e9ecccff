import type { ConsumedRecord } from "@spillway/transport/Envelope"
import type { Outcome } from "@spillway/transport/runtime/Processor"
import type { Chunk } from "./queue.js"

/** Where a lane reports the outcomes of its records; called once for each record that has one. */
export interface Settlement {
  /** `chunk` is the record's source. */
  readonly settled: (record: ConsumedRecord, outcome: Outcome, chunk: Chunk) => void
}
