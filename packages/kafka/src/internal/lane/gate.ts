/**
 * The gate that all lanes of a consumer pass before each attempt: no attempt starts once the session may have expired.
 */
export interface Gate {
  /** Whether the session was alive at the last check. */
  isOpen: boolean
  /** When the session may have expired unless it is renewed, in monotonic milliseconds. */
  closesAt: number
  /** Whether the outbox is full: its results must be committed first. */
  readonly isFull: () => boolean
}

export const make = (isFull: () => boolean): Gate => ({ isOpen: true, closesAt: Infinity, isFull })

/**
 * Whether attempts may start. A lane may ask before the timer that watches the session has run: an event loop that was
 * blocked runs the lane first.
 */
export const passes = (gate: Gate, now: number): boolean => {
  if (now >= gate.closesAt) gate.isOpen = false
  return gate.isOpen
}

/** The session lasts until `closesAt`; true when the gate has opened or closed. */
export const setSession = (gate: Gate, closesAt: number, now: number): boolean => {
  const wasOpen = gate.isOpen
  gate.closesAt = closesAt
  gate.isOpen = now < closesAt
  return gate.isOpen !== wasOpen
}
