/**
 * The bytes that a producer's records may take while they wait to be sent or acknowledged.
 */

import * as RecordBatch from "../../RecordBatch.js"
import type { Batch } from "./partitionQueue.js"
import { recordCount } from "./partitionQueue.js"

/** The measured memory of a record of a large `sendAll` besides its bytes: its entry, result and fields' objects. */
export const recordOverhead = 512

export interface Buffer {
  /** Reserves room for a record of this many bytes; false if there is too little. An empty one accepts any record. */
  readonly take: (size: number) => boolean
  readonly releaseRecord: (size: number) => void
  readonly releaseBatch: (batch: Batch) => void
  readonly used: () => number
}

export const make = (limit: number, onReleased: () => void): Buffer => {
  let used = 0
  const release = (bytes: number): void => {
    used -= bytes
    onReleased()
  }
  return {
    take: (size) => {
      const wanted = size + recordOverhead
      if (used > 0 && used + wanted > limit) return false
      used += wanted
      return true
    },
    releaseRecord: (size) => release(size + recordOverhead),
    releaseBatch: (batch) => release(batch.bytes - RecordBatch.batchOverhead + recordCount(batch) * recordOverhead),
    used: () => used
  }
}
