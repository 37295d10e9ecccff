/**
 * Heartbeats, on their own timer from the first generation to the end of the membership, and the session deadline that
 * they extend.
 */
import * as Monotonic from "@spillway/transport/runtime/Monotonic"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { KafkaErrorCode as Code, nameOf } from "../../KafkaErrorCode.js"
import type { Cluster } from "../cluster/cluster.js"
import * as Backoff from "../concurrency/backoff.js"
import type { ConsumerSettings } from "../settings/consumerSettings.js"
import * as Decisions from "./decisions.js"
import type { Member } from "./member.js"

export interface Heartbeats {
  /** Starts or continues heartbeats, with a session that the coordinator has just started. */
  readonly start: Effect.Effect<void>
  readonly stop: Effect.Effect<void>
}

export const make = Effect.fnUntraced(function* (options: {
  readonly cluster: Cluster
  readonly member: Member
  readonly settings: ConsumerSettings
  /** When the session may expire unless it is renewed, in monotonic milliseconds. */
  readonly setSession: (endsAt: number, now: number) => void
  /** Called when the current generation is being rebalanced. */
  readonly onRebalance: () => void
}): Effect.fn.Return<Heartbeats, never, Scope.Scope> {
  const { cluster, member, setSession, settings } = options
  const retry = cluster.retries.of("Heartbeat")
  const scope = yield* Effect.scope
  const clock = yield* Effect.clock
  const fork = (effect: Effect.Effect<void>) => Effect.forkIn(Effect.interruptible(effect), scope)
  let running: ReadonlyArray<Fiber.Fiber<void>> = []
  /** When the last acknowledged heartbeat was sent, in milliseconds. */
  let acknowledgedAt = 0

  const sessionEnd = (): number => acknowledgedAt + settings.sessionTimeoutMs

  const acknowledge = (sentAt: number, now: number) => {
    acknowledgedAt = Math.max(acknowledgedAt, sentAt)
    // A late response from a frozen broker says nothing about the session.
    setSession(sessionEnd(), now)
  }

  /** Detects on time that the session may have expired, even while a heartbeat is pending or queued. */
  const watchExpiry = Effect.gen(function* () {
    while (true) {
      const now = Monotonic.millis(clock)
      setSession(sessionEnd(), now)
      const left = sessionEnd() - now
      yield* Effect.sleep(left > 0 ? Math.ceil(left) : settings.heartbeatIntervalMs)
    }
  })

  const beat = Effect.gen(function* () {
    const backoff = Backoff.make(100, settings.heartbeatIntervalMs)
    const interval = Effect.sleep(settings.heartbeatIntervalMs)
    let wait = interval
    while (true) {
      yield* wait
      const sentAt = Monotonic.millis(clock)
      const sent = member.identity()
      const code = yield* Effect.matchEffect(member.toCoordinator("group", "Heartbeat", sent), {
        onFailure: (cause) =>
          Effect.catchAll(member.rejectFatal(cause), member.fail).pipe(
            Effect.zipRight(retry.failed(cause, sentAt)),
            Effect.as(undefined)
          ),
        onSuccess: ({ errorCode }) => Effect.succeed(errorCode)
      })
      const answeredAt = Monotonic.millis(clock)
      wait = interval
      const isCurrent = sent.generationId === member.generationId && sent.memberId === member.memberId
      const reaction =
        code === undefined
          ? Decisions.retry
          : Decisions.onHeartbeat(code, member.phase, isCurrent, member.keepsOwnership)
      switch (reaction._tag) {
        case "Ok":
          acknowledge(sentAt, answeredAt)
          backoff.reset()
          yield* retry.succeeded
          if (answeredAt >= sessionEnd()) wait = Effect.void
          break
        case "Rejoin":
          // A response for another generation acknowledges no heartbeat.
          if (code === Code.REBALANCE_IN_PROGRESS) acknowledge(sentAt, answeredAt)
          backoff.reset()
          yield* retry.succeeded
          options.onRebalance()
          break
        case "Lost":
          member.lose(reaction.memberIdKept)
          return
        case "Fatal":
          yield* member.fail(member.refused(reaction, "Heartbeat", code!))
          return
        case "FindCoordinator":
          cluster.forgetCoordinator(sent.groupId)
          yield* retry.failed(`Heartbeat answered ${nameOf(code!)}`, sentAt)
          wait = backoff.next
          break
        default:
          if (code !== undefined && isCurrent) yield* retry.failed(`Heartbeat answered ${nameOf(code)}`, sentAt)
          wait = backoff.next
      }
    }
  })

  return {
    start: Effect.suspend(() => {
      const now = Monotonic.millis(clock)
      acknowledge(now, now)
      if (running.length > 0) return Effect.void
      return Effect.map(Effect.all([fork(beat), fork(watchExpiry)]), (fibers) => {
        running = fibers
      })
    }),
    stop: Effect.suspend(() => {
      const stopping = running
      running = []
      retry.dropped()
      return Fiber.interruptAll(stopping)
    })
  }
})
