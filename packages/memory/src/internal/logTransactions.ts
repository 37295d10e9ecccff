/**
 * The open transactions of a log and its aborted records: the state behind read-committed.
 */
import type { AbortedTransaction, BatchHeader } from "@spillway/kafka/RecordBatch"
import * as RecordBatch from "@spillway/kafka/RecordBatch"

interface Aborted extends AbortedTransaction {
  /** The offset of its marker. */
  readonly lastOffset: number
}

/** Changed only by the functions of this file. */
export interface LogTransactions {
  /** The first offset of each producer's open transaction. */
  readonly open: Map<bigint, number>
  readonly aborted: Array<Aborted>
}

export type Marker = "commit" | "abort"

export const make = (): LogTransactions => ({ open: new Map(), aborted: [] })

/** The first undecided offset; `highWatermark` when all before it are decided. */
export const lastStableOffset = ({ open }: LogTransactions, highWatermark: number): number => {
  let stable = highWatermark
  for (const firstOffset of open.values()) if (firstOffset < stable) stable = firstOffset
  return stable
}

/** The aborted transactions that overlap a range of offsets, its end excluded. */
export const abortedBetween = (
  { aborted }: LogTransactions,
  from: number,
  to: number
): ReadonlyArray<AbortedTransaction> =>
  aborted
    .filter(({ firstOffset, lastOffset }) => firstOffset < to && lastOffset >= from)
    .map(({ firstOffset, producerId }) => ({ producerId, firstOffset }))

/** Records a batch that was appended. */
export const onAppended = (transactions: LogTransactions, batch: BatchHeader, baseOffset: number): void => {
  if (!batch.isTransactional || batch.isControl || transactions.open.has(batch.producerId)) return
  transactions.open.set(batch.producerId, baseOffset)
}

/** Records a marker that was appended. */
export const onMarker = (
  { aborted, open }: LogTransactions,
  producerId: bigint,
  marker: Marker,
  lastOffset: number
): void => {
  const firstOffset = open.get(producerId)
  if (firstOffset === undefined) return
  open.delete(producerId)
  if (marker === "abort") aborted.push({ producerId, firstOffset, lastOffset })
}

const int16s = (...values: ReadonlyArray<number>): Uint8Array => {
  const bytes = new Uint8Array(values.length * 2)
  values.forEach((value, index) => {
    new DataView(bytes.buffer).setInt16(index * 2, value)
  })
  return bytes
}

/** The control batch with which a coordinator ends a producer's transaction. */
export const encodeMarker = (
  marker: Marker,
  producerId: bigint,
  producerEpoch: number,
  timestamp: number
): Uint8Array =>
  RecordBatch.encode(
    [{ key: int16s(0, marker === "commit" ? 1 : 0), value: int16s(0, 0, 0), headers: [], timestamp }],
    { producerId, producerEpoch, isTransactional: true, isControl: true }
  )
