/**
 * Which brokers can't be reached, and a log of it: a line when a broker can't be reached, again at a slow interval with
 * how long and how often that was so, and one when it answers again. A broker that comes and goes has no more lines.
 */
import * as Logging from "@spillway/transport/Logging"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as LogLevel from "effect/LogLevel"
import * as Monotonic from "../concurrency/monotonic.js"

/** How often a broker's trouble is logged, in milliseconds. */
export const repeatEveryMs = 30_000

interface Trouble {
  /** Since when the broker can't be reached, or comes and goes. */
  readonly since: number
  isUnreachable: boolean
  attempts: number
  /** When an attempt failed last, and when that was logged. */
  failedAt: number
  loggedAt: number
  /** Whether a line says that it can't be reached, and none yet that it can. */
  isOpen: boolean
}

/** Brokers are named `host:port`. */
export interface Reachability {
  readonly failed: (broker: string, cause: Cause.Cause<unknown>) => Effect.Effect<void>
  readonly answered: (broker: string) => Effect.Effect<void>
  readonly isUnreachable: (broker: string) => boolean
  /** Forgets the brokers that aren't among these. */
  readonly retain: (brokers: ReadonlyArray<string>) => void
}

export const make: Effect.Effect<Reachability> = Effect.map(Effect.clock, (clock) => {
  const troubles = new Map<string, Trouble>()

  /** The trouble that a failed attempt belongs to: a new one when the broker has been well for long. */
  const troubleOf = (broker: string, now: number): Trouble => {
    const known = troubles.get(broker)
    if (known !== undefined && (known.isUnreachable || now - known.failedAt < repeatEveryMs)) return known
    const loggedAt = Number.NEGATIVE_INFINITY
    const trouble = { since: now, isUnreachable: true, attempts: 0, failedAt: now, loggedAt, isOpen: false }
    troubles.set(broker, trouble)
    return trouble
  }

  const lasting = ({ attempts, since }: Trouble, now: number) => ({
    attempts,
    seconds: Math.round((now - since) / 1_000)
  })

  return {
    failed: (broker, cause) =>
      Effect.suspend(() => {
        const now = Monotonic.millis(clock)
        const trouble = troubleOf(broker, now)
        trouble.isUnreachable = true
        trouble.attempts++
        trouble.failedAt = now
        if (now - trouble.loggedAt < repeatEveryMs) return Effect.void
        trouble.loggedAt = now
        trouble.isOpen = true
        const annotations = { broker, ...(trouble.attempts === 1 ? {} : lasting(trouble, now)) }
        return Logging.log(LogLevel.Warning, "The broker can't be reached, trying on", annotations, cause)
      }),
    answered: (broker) =>
      Effect.suspend(() => {
        const trouble = troubles.get(broker)
        if (trouble === undefined) return Effect.void
        trouble.isUnreachable = false
        if (!trouble.isOpen) return Effect.void
        trouble.isOpen = false
        const annotations = { broker, ...lasting(trouble, Monotonic.millis(clock)) }
        return Logging.log(LogLevel.Info, "The broker can be reached again", annotations)
      }),
    isUnreachable: (broker) => troubles.get(broker)?.isUnreachable === true,
    retain: (brokers) => {
      for (const broker of troubles.keys()) if (!brokers.includes(broker)) troubles.delete(broker)
    }
  }
})
