/**
 * Whether a lane may start an attempt at a record now: not while the consumer's gate is closed, the lane is paused, a
 * seek holds it, or the circuit breaker is open.
 */
import type { Caller } from "@spillway/transport/runtime/CircuitBreaker"
import * as Gate from "./gate.js"
import type { Turn } from "./turn.js"

export interface Admission {
  readonly isPaused: () => boolean
  /** A paused lane starts no record and no retry; the record in flight and its wait for a retry continue. */
  readonly setPaused: (paused: boolean) => void
  /** Starts no record and ends a retry wait, until it is released as often as it was held. */
  readonly hold: () => void
  readonly release: () => void
  readonly isHeld: () => boolean
  /** Whether an attempt may start. */
  readonly admits: () => boolean
  /** The same, for an attempt that then starts at once: it takes the breaker's permission. */
  readonly admit: () => boolean
}

/** `changed` is called when the answers may have changed. */
export const make = (gate: Gate.Gate, turn: Turn, caller: Caller | undefined, changed: () => void): Admission => {
  let paused = false
  let holds = 0
  const isFree = () => Gate.passes(gate, turn.now()) && !paused && holds === 0 && !gate.isFull()
  return {
    isPaused: () => paused,
    setPaused: (value) => {
      paused = value
      changed()
    },
    hold: () => {
      holds++
      changed()
    },
    release: () => {
      holds--
      changed()
    },
    isHeld: () => holds > 0,
    admits: () => isFree() && (caller === undefined || caller.isAdmitted()),
    admit: () => isFree() && (caller === undefined || caller.enter())
  }
}
