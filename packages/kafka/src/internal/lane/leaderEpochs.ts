/**
 * The leader epochs of a partition's records, as far as they are still needed: a position is only identified by its
 * offset and the epoch of the record before it (KIP-320).
 */
export interface LeaderEpochs {
  /** Ascending; each entry's epoch applies from its offset up to the next entry's. */
  readonly entries: Array<{ readonly from: number; readonly epoch: number }>
}

/** The epochs from a position on; `epoch` is that of the record before it, -1 if unknown. */
export const make = (epoch: number): LeaderEpochs => ({ entries: [{ from: -1, epoch }] })

/** A batch of the epoch begins at the offset. */
export const add = ({ entries }: LeaderEpochs, from: number, epoch: number): void => {
  if (entries[entries.length - 1]!.epoch !== epoch) entries.push({ from, epoch })
}

/** The epoch of the last record. */
export const last = ({ entries }: LeaderEpochs): number => entries[entries.length - 1]!.epoch

/** The epoch of the record before an offset. Earlier ones are forgotten then, and return -1. */
export const before = ({ entries }: LeaderEpochs, offset: number): number => {
  while (entries.length > 1 && entries[1]!.from < offset) entries.shift()
  return entries[0]!.from < offset ? entries[0]!.epoch : -1
}
