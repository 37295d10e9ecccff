/**
 * The state machine of a circuit breaker: closed until too many calls fail, then open for a time, then half-open for
 * one probe at a time until enough of them succeed. It has no clock; callers pass the time.
 */
import type { CircuitBreakerState } from "../../CircuitBreaker.js"
import * as Backoff from "../backoff.js"
import type { CircuitBreakerSettings } from "./types.js"
import * as Window from "./window.js"

export interface Machine {
  readonly settings: CircuitBreakerSettings
  readonly window: Window.Window
  state: CircuitBreakerState
  /** Grows with each change of state: the result of a call that began in an earlier epoch is ignored. */
  epoch: number
  /** How many times it has opened since it was last closed. */
  openings: number
  /** When an open breaker becomes half-open, in milliseconds of the monotonic clock. */
  opensUntil: number
  /** Half-open: a probe is in flight. */
  probing: boolean
  /** Half-open: the number of successful probes. */
  succeeded: number
}

/** The token that a call returns when it ends: the epoch it began in. */
export type Permit = number

export const make = (settings: CircuitBreakerSettings): Machine => ({
  settings,
  window:
    settings.window._tag === "Count" ? Window.ofCount(settings.window.count) : Window.ofTime(settings.window.millis),
  state: "closed",
  epoch: 0,
  openings: 0,
  opensUntil: 0,
  probing: false,
  succeeded: 0
})

/** Whether a call may begin. */
export const admits = (machine: Machine): boolean =>
  machine.state === "closed" || (machine.state === "halfOpen" && !machine.probing)

/** Begins a call; valid only if `admits` allows it. */
export const begin = (machine: Machine): Permit => {
  if (machine.state === "halfOpen") machine.probing = true
  return machine.epoch
}

/** A call that `begin` admitted succeeded. */
export const succeed = (machine: Machine, permit: Permit, now: number): void => {
  if (permit !== machine.epoch) return
  if (machine.state === "closed") machine.window.add(false, now)
  else {
    machine.probing = false
    machine.succeeded++
    if (machine.succeeded >= machine.settings.probes) close(machine)
  }
}

/** A call that `begin` admitted failed. */
export const fail = (machine: Machine, permit: Permit, now: number): void => {
  if (permit !== machine.epoch) return
  if (machine.state === "closed") {
    machine.window.add(true, now)
    if (isTripped(machine)) open(machine, now)
  } else open(machine, now)
}

/** A call that `begin` admitted ended, and its result says nothing about the protected dependency. */
export const ignore = (machine: Machine, permit: Permit): void => {
  if (permit === machine.epoch) machine.probing = false
}

/** Time has passed: an open breaker whose open time is over becomes half-open. */
export const tick = (machine: Machine, now: number): void => {
  if (machine.state !== "open" || now < machine.opensUntil) return
  become(machine, "halfOpen")
}

const isTripped = ({ settings, window }: Machine): boolean =>
  window.calls() >= settings.minimumThroughput && window.failures() >= settings.failureRatio * window.calls()

const become = (machine: Machine, state: CircuitBreakerState): void => {
  machine.state = state
  machine.epoch++
  machine.probing = false
  machine.succeeded = 0
}

const open = (machine: Machine, now: number): void => {
  const { factor, maxOpenMillis: cap, openMillis: base } = machine.settings
  machine.opensUntil = now + Backoff.delay({ base, factor, cap, jitter: false }, machine.openings, 0)
  machine.openings++
  machine.window.clear()
  become(machine, "open")
}

const close = (machine: Machine): void => {
  machine.openings = 0
  become(machine, "closed")
}
