/**
 * Finds the attempt that has been running for too long, by looks at intervals instead of a timer an attempt.
 */
export interface Watchdog {
  /** The attempt that the last look found running, and when it was first found. */
  attempt: number
  since: number
  /** The attempt that was last found to be over its time; -1 when that was dealt with. */
  over: number
}

export const make = (): Watchdog => ({ attempt: -1, since: 0, over: -1 })

/** Whether the running attempt is over its time; true once for each attempt. Times are in milliseconds. */
export const look = (watchdog: Watchdog, attempt: number, now: number, timeout: number): boolean => {
  if (watchdog.attempt !== attempt) {
    watchdog.attempt = attempt
    watchdog.since = now
    return false
  }
  if (watchdog.over === attempt || now - watchdog.since < timeout) return false
  watchdog.over = attempt
  return true
}
