/**
 * The true state of each record in a simulation, independent of the consumer's view.
 */
import type { TopicPartition } from "@spillway/transport/Consumer"

export type Outcome = "handled" | "deadLettered" | "discarded" | "expired" | "skipped" | "unsettled"

/** The truth about one partition. */
export interface Partition {
  readonly name: string
  /** How often each record that was read has settled. */
  readonly settled: Map<number, number>
  readonly deadLettered: Set<number>
  /** Records whose last attempt failed. If failed records are skipped, they count as settled. */
  readonly failed: Set<number>
  /** Records that a seek has skipped. */
  readonly skipped: Set<number>
  /** The lowest offset that a seek has led to; infinity if there was none. */
  repeatedFrom: number
  /** Everything before it is settled or expired. */
  settledTo: number
  startOffset: number
}

export interface Options {
  /** Failed records are skipped, not dead-lettered. */
  readonly skips: boolean
  /** The records whose dead letters were written since the last call. */
  readonly newDeadLetters: () => ReadonlyArray<TopicPartition & { readonly offset: number }>
  readonly onDeadLetter: (record: string) => void
  readonly onSettledAgain: (record: string) => void
}

export interface Truth {
  readonly partition: (at: TopicPartition) => Partition
  readonly settle: (partition: Partition, offset: number) => void
  readonly isSettled: (partition: Partition, offset: number) => boolean
  /** Whether a record is dead-lettered or expired: it isn't delivered, even if it is read again. */
  readonly isOver: (partition: Partition, offset: number) => boolean
  /** A seek has led to an offset: records without an outcome before it need none. */
  readonly skip: (partition: Partition, to: number) => void
  /**
   * The offset before which everything is settled or expired. Looks for dead letters if it is before the wanted offset.
   */
  readonly settledTo: (partition: Partition, wanted: number) => number
  readonly outcome: (at: TopicPartition, offset: number) => Outcome
  /** Reads the dead letters that were written. */
  readonly findDeadLetters: () => void
  /** The number of records that settled more than once. */
  readonly repeated: () => number
}

export const nameOf = ({ partition, topic }: TopicPartition): string => `${topic}-${partition}`

export const make = ({ newDeadLetters, onDeadLetter, onSettledAgain, skips }: Options): Truth => {
  const partitions = new Map<string, Partition>()

  const partitionOf = (at: TopicPartition): Partition => {
    const name = nameOf(at)
    const known = partitions.get(name)
    if (known !== undefined) return known
    const partition: Partition = {
      name,
      settled: new Map(),
      deadLettered: new Set(),
      failed: new Set(),
      skipped: new Set(),
      repeatedFrom: Number.POSITIVE_INFINITY,
      settledTo: 0,
      startOffset: 0
    }
    partitions.set(name, partition)
    return partition
  }

  const has = (partition: Partition, offset: number): boolean =>
    offset < partition.startOffset ||
    partition.settled.has(offset) ||
    partition.skipped.has(offset) ||
    (skips && partition.failed.has(offset))

  const advance = (partition: Partition): number => {
    while (has(partition, partition.settledTo)) partition.settledTo++
    return partition.settledTo
  }

  const settle = (partition: Partition, offset: number) => {
    const times = (partition.settled.get(offset) ?? 0) + 1
    partition.settled.set(offset, times)
    if (times > 1) onSettledAgain(`${partition.name}@${offset}`)
  }

  const findDeadLetters = () => {
    for (const { offset, ...at } of newDeadLetters()) {
      onDeadLetter(`${nameOf(at)}@${offset}`)
      const partition = partitionOf(at)
      partition.deadLettered.add(offset)
      settle(partition, offset)
    }
  }

  return {
    partition: partitionOf,
    settle,
    // Looks twice: dead letters are only found by looking.
    isSettled: (partition, offset) => {
      if (has(partition, offset)) return true
      findDeadLetters()
      return has(partition, offset)
    },
    isOver: (partition, offset) => {
      const isOver = () => offset < partition.startOffset || partition.deadLettered.has(offset)
      if (isOver()) return true
      findDeadLetters()
      return isOver()
    },
    skip: (partition, to) => {
      if (advance(partition) < to) findDeadLetters()
      for (let offset = advance(partition); offset < to; offset++) {
        if (!has(partition, offset)) partition.skipped.add(offset)
      }
    },
    settledTo: (partition, wanted) => {
      if (advance(partition) < wanted) findDeadLetters()
      return advance(partition)
    },
    outcome: (at, offset) => {
      const partition = partitionOf(at)
      if (!has(partition, offset)) findDeadLetters()
      if (partition.deadLettered.has(offset)) return "deadLettered"
      if (partition.settled.has(offset)) return "handled"
      if (skips && partition.failed.has(offset)) return "discarded"
      if (offset < partition.startOffset) return "expired"
      return partition.skipped.has(offset) ? "skipped" : "unsettled"
    },
    findDeadLetters,
    repeated: () => {
      let count = 0
      for (const { settled } of partitions.values()) for (const times of settled.values()) if (times > 1) count++
      return count
    }
  }
}
