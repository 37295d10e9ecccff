/**
 * The oracle's view of one ownership of a partition, and the effect of a seek on it.
 */
import type * as Truth from "./truth.js"

/** A seek that the member has requested. */
export interface Seek {
  readonly to: number
  /** The member has continued from the new position. */
  hasMoved: boolean
  /** A record has started since, as if without a seek. From the new position it may look the same. */
  hasStarted: boolean
  /** The member has learned that the seek has happened. */
  isOver: boolean
}

/** The state of one ownership of a partition. */
export interface Ownership {
  readonly partition: Truth.Partition
  /** The offset that its next record must have, if known. */
  expected: number | undefined
  last: number | undefined
  running: number | undefined
  readonly settled: Set<number>
  /** Replaced by each seek: records that were requested in an earlier epoch are dropped. */
  epoch: object
  sent: number
  readonly batches: Map<number, { readonly nextOffset: number; readonly bytes: number }>
  /** When its revocation or loss began: fetched records are dropped, and no record starts. */
  endingSince: number | undefined
  seek: Seek | undefined
  /** It was moved backwards by a seek: records with an outcome are delivered again, each of them. */
  isRepeating: boolean
}

export const make = (partition: Truth.Partition): Ownership => ({
  partition,
  expected: undefined,
  last: undefined,
  running: undefined,
  settled: new Set(),
  epoch: {},
  sent: -1,
  batches: new Map(),
  endingSince: undefined,
  seek: undefined,
  isRepeating: false
})

export const beginSeek = (ownership: Ownership, to: number): void => {
  ownership.seek = { to, hasMoved: false, hasStarted: false, isOver: false }
  // Fetched records may be dropped from now on.
  ownership.batches.clear()
  ownership.epoch = {}
}

/** The ownership continues at the seek's position, as if it began there. */
export const move = (ownership: Ownership): void => {
  const { seek } = ownership
  if (seek === undefined) return
  seek.hasMoved = true
  ownership.expected = seek.to
  ownership.last = undefined
  ownership.settled.clear()
  ownership.batches.clear()
  ownership.epoch = {}
  ownership.isRepeating = true
}

/** The member has learned that the seek has happened. */
export const endSeek = (ownership: Ownership): void => {
  const { seek } = ownership
  if (seek === undefined) return
  seek.isOver = true
  if (!seek.hasMoved && !seek.hasStarted) move(ownership)
  if (seek.hasMoved) ownership.seek = undefined
}

/** A record starts. Its offset shows whether the seek has moved the ownership. `isNext` is the check without a seek. */
export const onStart = (ownership: Ownership, isNext: boolean): void => {
  const { seek } = ownership
  if (seek === undefined || seek.hasMoved) return
  if (!isNext) move(ownership)
  seek.hasStarted = true
  if (seek.isOver) ownership.seek = undefined
}
