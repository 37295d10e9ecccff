/**
 * A partition log's state of the idempotent producers that wrote to it, by Kafka's rules (KIP-98, KIP-360): the batch
 * that must follow, and the recent batches that may be repeated.
 */
import { KafkaErrorCode } from "@spillway/kafka/KafkaErrorCode"
import type { BatchHeader } from "@spillway/kafka/RecordBatch"

interface Written {
  readonly baseSequence: number
  readonly lastSequence: number
  readonly baseOffset: number
}

interface Producer {
  readonly epoch: number
  /** The last batches, at most five. */
  readonly written: ReadonlyArray<Written>
}

/** By producer id. */
export type ProducerStates = Map<bigint, Producer>

export type Verdict =
  | { readonly _tag: "Append" }
  /** The batch is already in the log. */
  | { readonly _tag: "Duplicate"; readonly baseOffset: number }
  | { readonly _tag: "Refuse"; readonly errorCode: number }

const append: Verdict = { _tag: "Append" }

const remembered = 5

const maxSequence = 0x7fffffff

/** Sequences start again at 0 after the largest int32. */
const sequenceAfter = (sequence: number): number => (sequence === maxSequence ? 0 : sequence + 1)

const lastSequence = ({ baseSequence, recordCount }: BatchHeader): number =>
  (baseSequence + recordCount - 1) % (maxSequence + 1)

const isIdempotent = ({ producerId }: BatchHeader): boolean => producerId >= 0n

/** Whether a batch may be appended. */
export const check = (states: ProducerStates, batch: BatchHeader): Verdict => {
  const known = isIdempotent(batch) ? states.get(batch.producerId) : undefined
  // An unknown producer may start at any sequence: its records may have been deleted.
  if (known === undefined) return append
  if (batch.producerEpoch < known.epoch) return { _tag: "Refuse", errorCode: KafkaErrorCode.INVALID_PRODUCER_EPOCH }
  const outOfOrder: Verdict = { _tag: "Refuse", errorCode: KafkaErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER }
  if (batch.producerEpoch > known.epoch) return batch.baseSequence === 0 ? append : outOfOrder
  const again = known.written.find(
    (one) => one.baseSequence === batch.baseSequence && one.lastSequence === lastSequence(batch)
  )
  if (again !== undefined) return { _tag: "Duplicate", baseOffset: again.baseOffset }
  const last = known.written.at(-1)
  return batch.baseSequence === (last === undefined ? 0 : sequenceAfter(last.lastSequence)) ? append : outOfOrder
}

/** Remembers a batch that was appended. */
export const onAppended = (states: ProducerStates, batch: BatchHeader, baseOffset: number): void => {
  if (!isIdempotent(batch)) return
  const known = states.get(batch.producerId)
  const before = known?.epoch === batch.producerEpoch ? known.written : []
  const written = [...before, { baseSequence: batch.baseSequence, lastSequence: lastSequence(batch), baseOffset }]
  states.set(batch.producerId, { epoch: batch.producerEpoch, written: written.slice(-remembered) })
}

/** Remembers a marker that was appended. A higher epoch fences its producer's earlier ones. */
export const onMarker = (states: ProducerStates, producerId: bigint, epoch: number): void => {
  const known = states.get(producerId)
  if (known === undefined || known.epoch < epoch) states.set(producerId, { epoch, written: [] })
}
