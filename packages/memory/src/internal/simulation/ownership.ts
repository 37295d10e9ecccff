/**
 * What the oracle knows of one ownership of a partition, and what a seek makes of it.
 */
import type * as Truth from "./truth.js"

/** A seek that the member has asked for. */
export interface Seek {
  readonly to: number
  /** Its member has gone on from there. */
  hasMoved: boolean
  /** A record has started since, as if nothing had been asked for; from the new position on it may look the same. */
  hasStarted: boolean
  /** The member was told that it has happened. */
  isOver: boolean
}

/** What one ownership of a partition has done. */
export interface Ownership {
  readonly partition: Truth.Partition
  /** The offset that its next record must have, if that is known. */
  expected: number | undefined
  last: number | undefined
  running: number | undefined
  readonly settled: Set<number>
  /** What was asked for in another epoch is dropped. */
  epoch: object
  sent: number
  readonly batches: Map<number, { readonly nextOffset: number; readonly bytes: number }>
  /** Since when it is being given up: what was fetched is dropped, and no record is started. */
  endingSince: number | undefined
  seek: Seek | undefined
  /** It has gone back by a seek: records that have their outcome come again, each of them. */
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
  // What was fetched may be dropped from now on.
  ownership.batches.clear()
  ownership.epoch = {}
}

/** The ownership goes on from where its seek leads, as if it began there. */
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

/** The member was told that the seek has happened. */
export const endSeek = (ownership: Ownership): void => {
  const { seek } = ownership
  if (seek === undefined) return
  seek.isOver = true
  if (!seek.hasMoved && !seek.hasStarted) move(ownership)
  if (seek.hasMoved) ownership.seek = undefined
}

/** A record starts: whether the ownership has moved by its seek is seen by where it goes on. `isNext` without one. */
export const onStart = (ownership: Ownership, isNext: boolean): void => {
  const { seek } = ownership
  if (seek === undefined || seek.hasMoved) return
  if (!isNext) move(ownership)
  seek.hasStarted = true
  if (seek.isOver) ownership.seek = undefined
}
