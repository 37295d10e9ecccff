/**
 * A queue's position in its producer's sequence, by which the broker detects duplicate and missing batches.
 */

/** A producer's identity at the brokers. */
export interface ProducerIdAndEpoch {
  readonly producerId: bigint
  readonly producerEpoch: number
  /** The transaction coordinator assigns the epochs. */
  readonly isTransactional: boolean
}

export interface Sequence extends ProducerIdAndEpoch {
  /** The sequence of the next record. */
  readonly next: number
  /** The broker has acknowledged a batch of it: from then on it refuses batches out of order. */
  readonly isEstablished: boolean
}

/** The producer and sequence fields of a batch. */
export interface BatchNumbers extends ProducerIdAndEpoch {
  /** The sequence of its first record. */
  readonly baseSequence: number
}

/** Sequences begin again after the last int32. */
const add = (sequence: number, records: number): number => (sequence + records) % 0x80000000

/** The numbers that follow a number of records. */
export const after = (numbers: BatchNumbers, records: number): BatchNumbers => ({
  ...numbers,
  baseSequence: add(numbers.baseSequence, records)
})

/** The numbers of the next batch, and the sequence after it. */
export const number = (sequence: Sequence, records: number): readonly [BatchNumbers, Sequence] => {
  const { isEstablished, isTransactional, next: baseSequence, producerEpoch, producerId } = sequence
  const next = add(baseSequence, records)
  return [
    { producerId, producerEpoch, isTransactional, baseSequence },
    { producerId, producerEpoch, isTransactional, next, isEstablished }
  ]
}

export const begin = ({ isTransactional, producerEpoch, producerId }: ProducerIdAndEpoch): Sequence => ({
  producerId,
  producerEpoch,
  isTransactional,
  next: 0,
  isEstablished: false
})

const lastEpoch = 0x7fff

/**
 * Restarts under the next epoch, which resets the sequence that the broker expects (KIP-360); `undefined` when epochs
 * are used up and another producer id is needed. The coordinator needn't know: without transactions, epochs only matter
 * to the partition.
 */
export const beginAnew = (identity: ProducerIdAndEpoch): Sequence | undefined =>
  identity.producerEpoch >= lastEpoch ? undefined : begin({ ...identity, producerEpoch: identity.producerEpoch + 1 })
