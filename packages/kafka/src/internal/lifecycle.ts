/**
 * The state machine of a consumer: `Starting -> Running <-> Paused -> Draining -> Stopped | Failed`.
 */
import type { ConsumerStatus } from "@spillway/transport/Consumer"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"

const successors: Readonly<Record<ConsumerStatus, ReadonlyArray<ConsumerStatus>>> = {
  Starting: ["Running", "Draining"],
  Running: ["Paused", "Draining"],
  Paused: ["Running", "Draining"],
  Draining: ["Stopped", "Failed"],
  Stopped: [],
  Failed: []
}

export const mayFollow = (from: ConsumerStatus, to: ConsumerStatus): boolean => successors[from].includes(to)

export const isFinal = (status: ConsumerStatus): boolean => successors[status].length === 0

export interface Lifecycle {
  readonly status: Effect.Effect<ConsumerStatus>
  /** The current status at once, for those who may not wait. */
  readonly now: () => ConsumerStatus
  /** The current status, then each change, until the last. */
  readonly changes: Stream.Stream<ConsumerStatus>
  /** Moves on where the machine allows it; else nothing changes. */
  readonly to: (status: ConsumerStatus) => Effect.Effect<void>
  /** `to`, with the status read when its turn has come, so that of two at once the later state wins. */
  readonly follow: (status: () => ConsumerStatus) => Effect.Effect<void>
}

export const make: Effect.Effect<Lifecycle> = Effect.map(
  SubscriptionRef.make<ConsumerStatus>("Starting"),
  (ref): Lifecycle => {
    const follow = (status: () => ConsumerStatus) =>
      SubscriptionRef.update(ref, (current) => {
        const next = status()
        return mayFollow(current, next) ? next : current
      })
    return {
      status: SubscriptionRef.get(ref),
      now: () => Effect.runSync(SubscriptionRef.get(ref)),
      changes: Stream.takeUntil(Stream.changes(ref.changes), isFinal),
      to: (status) => follow(() => status),
      follow
    }
  }
)
