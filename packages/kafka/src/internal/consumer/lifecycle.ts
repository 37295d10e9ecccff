/**
 * The state machine of a consumer: `Starting -> Running <-> Paused -> Draining -> Stopped | Failed`.
 */
import type { ConsumerStatus } from "@spillway/transport/Consumer"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Signal from "../concurrency/signal.js"

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
  /** The current status, read synchronously. */
  readonly now: () => ConsumerStatus
  /** The current status, then each change, until the last. */
  readonly changes: Stream.Stream<ConsumerStatus>
  /** Makes the transition if the machine allows it; otherwise nothing changes. */
  readonly to: (status: ConsumerStatus) => Effect.Effect<void>
  /** `to`, with the status read when it is run. */
  readonly follow: (status: () => ConsumerStatus) => Effect.Effect<void>
}

/** A status, and the one that followed it. */
interface Step {
  readonly status: ConsumerStatus
  next: Step | undefined
}

export const make: Effect.Effect<Lifecycle> = Effect.sync((): Lifecycle => {
  const changed = Signal.make()
  let current: Step = { status: "Starting", next: undefined }

  const following = (step: Step): Effect.Effect<Option.Option<Step>> =>
    Effect.suspend(() => {
      if (step.next !== undefined) return Effect.succeedSome(step.next)
      return isFinal(step.status) ? Effect.succeedNone : Effect.zipRight(changed.wait(), following(step))
    })

  const after = (step: Step): Stream.Stream<ConsumerStatus> =>
    Stream.unfoldEffect(step, (before) =>
      Effect.map(following(before), (found) => Option.map(found, (next) => [next.status, next] as const))
    )

  const follow = (status: () => ConsumerStatus) =>
    Effect.sync(() => {
      const next = status()
      if (!mayFollow(current.status, next)) return
      const step: Step = { status: next, next: undefined }
      current.next = step
      current = step
      changed.notify()
    })

  return {
    status: Effect.sync(() => current.status),
    now: () => current.status,
    changes: Stream.suspend(() => Stream.concat(Stream.succeed(current.status), after(current))),
    to: (status) => follow(() => status),
    follow
  }
})
