/**
 * Identifies the batches of aborted transactions, as Java's consumer does under read-committed: a broker sends them
 * too, together with the offset at which each such transaction began.
 */
import type { AbortedTransaction, BatchHeader } from "./types.js"

export interface AbortedTransactions {
  /** Called for each batch in the log's order. */
  readonly holds: (batch: BatchHeader) => boolean
  /** The log holds a marker that ends the producer's transaction. */
  readonly end: (producerId: bigint) => void
}

export const make = (transactions: ReadonlyArray<AbortedTransaction>): AbortedTransactions => {
  const begins = [...transactions].sort((one, other) => one.firstOffset - other.firstOffset)
  let next = 0
  const open = new Set<bigint>()
  return {
    holds: (batch) => {
      for (; next < begins.length && begins[next]!.firstOffset < batch.nextOffset; next++) {
        open.add(begins[next]!.producerId)
      }
      return batch.isTransactional && !batch.isControl && open.has(batch.producerId)
    },
    end: (producerId) => {
      open.delete(producerId)
    }
  }
}
