/**
 * Counts the latest calls and how many of them failed: the last `count`, or those within a time.
 */
export interface Window {
  /** `now`, in milliseconds, only matters for a time window. */
  readonly add: (failed: boolean, now: number) => void
  readonly calls: () => number
  readonly failures: () => number
  readonly clear: () => void
}

/** The last `size` calls. */
export const ofCount = (size: number): Window => {
  const failed = new Uint8Array(size)
  let calls = 0
  let failures = 0
  let next = 0
  return {
    add: (isFailure) => {
      if (calls === size) failures -= failed[next]!
      else calls++
      failed[next] = isFailure ? 1 : 0
      failures += failed[next]!
      next = next + 1 === size ? 0 : next + 1
    },
    calls: () => calls,
    failures: () => failures,
    clear: () => {
      calls = failures = next = 0
    }
  }
}

/** A time window advances in steps of a tenth of its length. */
const slices = 10

/** The calls within the last `millis`, or up to a tenth less. */
export const ofTime = (millis: number): Window => {
  const width = millis / slices
  const calls = new Array<number>(slices).fill(0)
  const failures = new Array<number>(slices).fill(0)
  let allCalls = 0
  let allFailures = 0
  /** The number of the newest slice since the epoch. */
  let newest = -1

  const moveTo = (slice: number) => {
    for (let i = Math.max(newest + 1, slice - slices + 1); i <= slice; i++) {
      const at = i % slices
      allCalls -= calls[at]!
      allFailures -= failures[at]!
      calls[at] = failures[at] = 0
    }
    newest = slice
  }

  return {
    add: (isFailure, now) => {
      const slice = Math.max(Math.floor(now / width), newest)
      if (slice > newest) moveTo(slice)
      const at = slice % slices
      calls[at]!++
      allCalls++
      if (!isFailure) return
      failures[at]!++
      allFailures++
    },
    calls: () => allCalls,
    failures: () => allFailures,
    clear: () => {
      calls.fill(0)
      failures.fill(0)
      allCalls = allFailures = 0
    }
  }
}
