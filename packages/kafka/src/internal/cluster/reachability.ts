/**
 * Tracks and logs which brokers are unreachable. A broker gets a line when it becomes unreachable, further ones at a slow
 * interval with the duration and the attempts, and one when it answers again. A broker that flaps gets no more lines.
 */
import * as Logging from "@spillway/transport/runtime/Logging"
import * as Monotonic from "@spillway/transport/runtime/Monotonic"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as LogLevel from "effect/LogLevel"

/** How often an outage of a broker is logged, in milliseconds. */
export const repeatEveryMs = 30_000

interface Outage {
  /** Since when the broker has been unreachable or flapping. */
  readonly since: number
  isUnreachable: boolean
  attempts: number
  /** When the last attempt failed, and when a failure was last logged. */
  failedAt: number
  loggedAt: number
  /** Whether the outage was logged and its end was not yet. */
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
  const outages = new Map<string, Outage>()

  /** The outage that a failed attempt belongs to: a new one if the broker has been reachable for long enough. */
  const outageOf = (broker: string, now: number): Outage => {
    const known = outages.get(broker)
    if (known !== undefined && (known.isUnreachable || now - known.failedAt < repeatEveryMs)) return known
    const loggedAt = Number.NEGATIVE_INFINITY
    const outage = { since: now, isUnreachable: true, attempts: 0, failedAt: now, loggedAt, isOpen: false }
    outages.set(broker, outage)
    return outage
  }

  const lasting = ({ attempts, since }: Outage, now: number) => ({
    attempts,
    seconds: Math.round((now - since) / 1_000)
  })

  return {
    failed: (broker, cause) =>
      Effect.suspend(() => {
        const now = Monotonic.millis(clock)
        const outage = outageOf(broker, now)
        outage.isUnreachable = true
        outage.attempts++
        outage.failedAt = now
        if (now - outage.loggedAt < repeatEveryMs) return Effect.void
        outage.loggedAt = now
        outage.isOpen = true
        const annotations = { broker, ...(outage.attempts === 1 ? {} : lasting(outage, now)) }
        return Logging.log(LogLevel.Warning, "The broker can't be reached; retrying", annotations, cause)
      }),
    answered: (broker) =>
      Effect.suspend(() => {
        const outage = outages.get(broker)
        if (outage === undefined) return Effect.void
        outage.isUnreachable = false
        if (!outage.isOpen) return Effect.void
        outage.isOpen = false
        const annotations = { broker, ...lasting(outage, Monotonic.millis(clock)) }
        return Logging.log(LogLevel.Info, "The broker can be reached again", annotations)
      }),
    isUnreachable: (broker) => outages.get(broker)?.isUnreachable === true,
    retain: (brokers) => {
      for (const broker of outages.keys()) if (!brokers.includes(broker)) outages.delete(broker)
    }
  }
})
