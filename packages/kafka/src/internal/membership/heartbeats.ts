/**
 * Heartbeats, on a timer of their own from the first generation to the end of the membership, and the watch over the
 * session that they keep alive.
 */
import type { ConsumerError } from "@spillway/transport/Consumer"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Backoff from "../backoff.js"
import type { Cluster } from "../cluster.js"
import type { ConsumerSettings } from "../consumerSettings.js"
import * as Monotonic from "../monotonic.js"
import * as Decisions from "./decisions.js"
import type { Member } from "./member.js"

export interface Heartbeats {
  /** Begins, or goes on, with a session that the coordinator has just begun anew. */
  readonly start: Effect.Effect<void>
  readonly stop: Effect.Effect<void>
}

export const make = Effect.fnUntraced(function* (options: {
  readonly cluster: Cluster
  readonly member: Member
  readonly settings: ConsumerSettings
  /** Whether lanes may start records: not while the session may have expired. */
  readonly setSessionAlive: (alive: boolean) => void
  /** A rebalance of the present generation is on. */
  readonly onRebalance: () => void
  /** The ownership has ended without us. */
  readonly onLost: (memberIdKept: boolean) => void
  readonly fail: (error: ConsumerError) => Effect.Effect<void>
}): Effect.fn.Return<Heartbeats, never, Scope.Scope> {
  const { cluster, fail, member, setSessionAlive, settings } = options
  const scope = yield* Effect.scope
  let running: Fiber.Fiber<void> | undefined
  /** When the last acknowledged heartbeat was sent, in milliseconds. */
  let acknowledgedAt = 0

  const acknowledge = (at: number) => {
    acknowledgedAt = Math.max(acknowledgedAt, at)
    setSessionAlive(true)
  }

  /** Notices on time that the session may have expired, however long a heartbeat takes or waits for its turn. */
  const watchExpiry = Effect.gen(function* () {
    while (true) {
      const left = acknowledgedAt + settings.sessionTimeoutMs - (yield* Monotonic.now)
      if (left <= 0) setSessionAlive(false)
      yield* Effect.sleep(left > 0 ? Math.ceil(left) : settings.heartbeatIntervalMs)
    }
  })

  const beat = Effect.gen(function* () {
    const backoff = Backoff.make(100, settings.heartbeatIntervalMs)
    let wait = Effect.sleep(settings.heartbeatIntervalMs)
    while (true) {
      yield* wait
      const sentAt = yield* Monotonic.now
      const sent = member.identity()
      const untilExpiry = acknowledgedAt + settings.sessionTimeoutMs - sentAt
      const code = yield* member.toCoordinator("group", "Heartbeat", sent).pipe(
        Effect.map(({ errorCode }) => errorCode),
        Effect.catchAll((cause) => Effect.as(Effect.catchAll(member.rejectFatal(cause), fail), undefined)),
        // A broker that is frozen doesn't answer at all: the session expires while we wait.
        Effect.timeoutTo({
          duration: untilExpiry > 0 ? Math.ceil(untilExpiry) : settings.heartbeatIntervalMs,
          onSuccess: (code) => code,
          onTimeout: () => undefined
        })
      )
      wait = Effect.sleep(settings.heartbeatIntervalMs)
      const isCurrent = sent.generationId === member.generationId && sent.memberId === member.memberId
      const reaction = code === undefined ? Decisions.retry : Decisions.onHeartbeat(code, member.phase, isCurrent)
      switch (reaction._tag) {
        case "Ok":
          acknowledge(sentAt)
          backoff.reset()
          break
        case "Rejoin":
          acknowledge(sentAt)
          backoff.reset()
          options.onRebalance()
          break
        case "Lost":
          options.onLost(reaction.memberIdKept)
          return
        case "Fatal":
          yield* fail(member.refused(reaction, "Heartbeat", code!))
          return
        case "FindCoordinator":
          cluster.forgetCoordinator(sent.groupId)
          wait = backoff.next
          break
        default:
          wait = backoff.next
      }
    }
  })

  return {
    start: Effect.flatMap(Monotonic.now, (now) => {
      acknowledge(now)
      if (running !== undefined) return Effect.void
      return Effect.map(Effect.forkIn(Effect.interruptible(Effect.raceFirst(beat, watchExpiry)), scope), (fiber) => {
        running = fiber
      })
    }),
    stop: Effect.suspend(() => {
      const stopping = running
      running = undefined
      return stopping === undefined ? Effect.void : Fiber.interrupt(stopping)
    })
  }
})
