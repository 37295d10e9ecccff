/**
 * The state machine of a consumer: `Starting -> Running <-> Paused -> Draining -> Stopped | Failed`.
 */
import type { ConsumerStatus } from "@spillway/transport/Consumer"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"

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
  /** `to`, with the status read when it is run. */
  readonly follow: (status: () => ConsumerStatus) => Effect.Effect<void>
}

/** A status, and the one that follows it when it does. */
interface Step {
  readonly status: ConsumerStatus
  readonly next: Deferred.Deferred<Step>
}

const step = (status: ConsumerStatus): Step => ({ status, next: Deferred.unsafeMake(FiberId.none) })

const after = (before: Step): Stream.Stream<ConsumerStatus> =>
  Stream.unfoldEffect(before, ({ next, status }) =>
    isFinal(status)
      ? Effect.succeedNone
      : Effect.map(Deferred.await(next), (following) => Option.some([following.status, following] as const))
  )

export const make: Effect.Effect<Lifecycle> = Effect.sync((): Lifecycle => {
  let current = step("Starting")
  const follow = (status: () => ConsumerStatus) =>
    Effect.sync(() => {
      const before = current
      const next = status()
      if (!mayFollow(before.status, next)) return
      current = step(next)
      Deferred.unsafeDone(before.next, Effect.succeed(current))
    })
  return {
    status: Effect.sync(() => current.status),
    now: () => current.status,
    changes: Stream.suspend(() => Stream.concat(Stream.succeed(current.status), after(current))),
    to: (status) => follow(() => status),
    follow
  }
})
