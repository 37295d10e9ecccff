/**
 * Which records of an owned partition have an outcome, and the highest offset that may therefore be committed.
 * Offsets are added in ascending order as they are fetched and settled in any order.
 */
export interface Ledger {
  /** Offsets without an outcome or behind one without, ascending; the ones before `head` are done. */
  readonly offsets: Array<number>
  head: number
  /** Settled offsets that still have an unsettled one before them. */
  readonly early: Set<number>
  /** The offset after the last added one. */
  end: number
}

/** A ledger of a partition that is consumed from `position` on. */
export const make = (position: number): Ledger => ({ offsets: [], head: 0, early: new Set(), end: position })

/** Adds a fetched record's offset. */
export const add = (ledger: Ledger, offset: number): void => {
  ledger.offsets.push(offset)
  ledger.end = offset + 1
}

/** Moves the end past offsets that hold no record: compacted away, or control batches. */
export const skipTo = (ledger: Ledger, offset: number): void => {
  if (offset > ledger.end) ledger.end = offset
}

/** Marks a record as settled. */
export const settle = (ledger: Ledger, offset: number): void => {
  if (ledger.offsets[ledger.head] !== offset) {
    ledger.early.add(offset)
    return
  }
  ledger.head++
  while (ledger.early.size > 0 && ledger.early.delete(ledger.offsets[ledger.head]!)) ledger.head++
  if (ledger.head === ledger.offsets.length || ledger.head >= 8_192) {
    ledger.offsets.splice(0, ledger.head)
    ledger.head = 0
  }
}

/** Takes a record's outcome back; false when the ledger never had the record, or has it without an outcome. */
export const unsettle = (ledger: Ledger, offset: number): boolean => {
  if (offset >= ledger.end) return false
  if (ledger.early.delete(offset)) return true
  const first = ledger.offsets.findIndex((other, i) => i >= ledger.head && other >= offset)
  if (first >= 0 && ledger.offsets[first] === offset) return false
  ledger.offsets.splice(first < 0 ? ledger.offsets.length : first, 0, offset)
  return true
}

/** The highest offset that may be committed: every record before it has its outcome. */
export const committable = (ledger: Ledger): number =>
  ledger.head < ledger.offsets.length ? ledger.offsets[ledger.head]! : ledger.end

/** How many added records have no outcome yet. */
export const unsettled = (ledger: Ledger): number => ledger.offsets.length - ledger.head - ledger.early.size
