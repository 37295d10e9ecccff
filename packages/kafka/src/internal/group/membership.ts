/**
 * Group membership: joins, follows rebalances by the eager or the cooperative protocol, and leaves. `decisions.ts`
 * decides how to react to each response; the `RebalanceHandler` that is passed in handles the partitions.
 */
import type { ConsumerError, TopicPartition } from "@spillway/transport/Consumer"
import * as Completion from "@spillway/transport/runtime/Completion"
import * as Concurrency from "@spillway/transport/runtime/Concurrency"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type { Cluster } from "../cluster/cluster.js"
import * as Backoff from "../concurrency/backoff.js"
import * as RunUntil from "../concurrency/runUntil.js"
import type { ConsumerSettings } from "../settings/consumerSettings.js"
import { show, without } from "../topicPartition.js"
import * as Decisions from "./decisions.js"
import * as GroupStart from "./groupStart.js"
import * as Heartbeats from "./heartbeats.js"
import * as Join from "./join.js"
import type * as Member from "./member.js"
import type { StartCounts } from "./startCounts.js"
import type { Subscription } from "./subscription.js"
import * as Topics from "./topics.js"

/** Handles partitions as they are assigned, revoked and lost. */
export interface RebalanceHandler {
  /** The assigned partitions, with those that are being opened. */
  readonly owned: () => ReadonlyArray<TopicPartition>
  /**
   * Starts resolving start offsets and opening partitions. `startCounts`: the leader's counts of the topics'
   * partitions at the group's start; may be empty.
   */
  readonly open: (partitions: ReadonlyArray<TopicPartition>, startCounts: StartCounts) => Effect.Effect<void>
  /** Ends when every partition is open. */
  readonly opened: Effect.Effect<void>
  /** Lets in-flight records settle, commits them and ends the partitions, within the rebalance timeout. */
  readonly revoke: (partitions: ReadonlyArray<TopicPartition>) => Effect.Effect<void>
  /** Ends all partitions at once, without a commit. */
  readonly lose: Effect.Effect<void>
  /** Stops starting records, fetching and committing: `lose` is about to follow. */
  readonly abandon: () => void
  /** When the session may expire unless it is renewed, in monotonic milliseconds: no record starts after that. */
  readonly setSession: (endsAt: number, now: number) => void
}

export interface Membership {
  /** Joins and stays a member until interrupted by `leave`. */
  readonly run: Effect.Effect<never, ConsumerError>
  /**
   * Joins no further rebalance. A rebalance in progress is completed if this member owns partitions in it, so that they
   * can still be committed. Heartbeats continue until `leave`.
   */
  readonly stop: Effect.Effect<void>
  /** Ends heartbeats and sends LeaveGroup, best effort. */
  readonly leave: Effect.Effect<void>
  readonly view: () => { readonly memberId: string; readonly generationId: number; readonly isStable: boolean }
}

const leaveTimeout = "2 seconds"

export const make = Effect.fnUntraced(function* (options: {
  readonly cluster: Cluster
  readonly settings: ConsumerSettings
  readonly subscription: Subscription
  /** Fails if a subscribed topic can't be read safely. */
  readonly checkTopics: (topics: ReadonlyArray<string>) => Effect.Effect<void, ConsumerError>
  readonly member: Member.Member
  readonly assignment: RebalanceHandler
  readonly fail: (error: ConsumerError) => Effect.Effect<void>
  readonly onJoined: Effect.Effect<void>
}): Effect.fn.Return<Membership, never, Scope.Scope> {
  const { assignment, checkTopics, cluster, member, settings, subscription } = options
  const scope = yield* Effect.scope
  const topics = Topics.make({ cluster, member, settings, subscription, checkTopics })
  /** Set when the member joins no further rebalance. */
  const halted = Completion.make<void>()
  const backoff = Backoff.make()
  let stopping = false
  /** LeaveGroup was sent: the coordinator then answers parked requests as if the member were unknown. */
  let hasLeft = false
  let checked = false
  /** Set when the current generation is being rebalanced. */
  let rebalance = Completion.make<void, ConsumerError>()
  /** Set when the partitions are lost. */
  let lost = Completion.make<void>()
  /** Set when no further generation follows: the membership was lost, or is about to end. */
  let over = Completion.make<void, ConsumerError>()

  const lose = (memberIdKept: boolean): void => {
    if (hasLeft) return
    if (!memberIdKept) member.memberId = ""
    lost.done(Effect.void)
    over.done(Effect.void)
  }

  // The other cluster has its own group of this name, with its own members, generations and offsets.
  cluster.onMove(() => {
    assignment.abandon()
    lose(false)
  })

  /** A fenced member's partitions already belong to another member: there is nothing to settle. */
  const loseIfFenced = (error: ConsumerError) => (error.reason === "FencedInstance" ? assignment.lose : Effect.void)

  member.follow({ lose, fail: (error) => Effect.zipRight(loseIfFenced(error), options.fail(error)) })

  const heartbeats = yield* Heartbeats.make({
    cluster,
    member,
    settings,
    onRebalance: () => rebalance.done(Effect.void),
    setSession: assignment.setSession
  })

  const groupStart = GroupStart.make({
    cluster,
    member,
    settings,
    isMissing: topics.isMissing,
    isMatched: (topic) => settings.topicPattern !== undefined && subscription.includes(topic)
  })

  const join = Join.make({
    cluster,
    member,
    settings,
    owned: assignment.owned,
    topics: subscription.refresh,
    countPartitions: topics.countPartitions,
    groupStart,
    onGeneration: Effect.suspend(() => {
      rebalance = Completion.make()
      return heartbeats.start
    }),
    onAttempted: () => {
      if (stopping) over.done(Effect.void)
    }
  })

  /** Ends when the group should rebalance. */
  const liveIn = (generation: Join.Generation) =>
    Effect.uninterruptibleMask((restore) => {
      const ended = rebalance
      const opening = Effect.zipRight(assignment.opened, options.onJoined).pipe(
        Effect.catchAllCause((cause) => Effect.sync(() => ended.done(Effect.failCause(cause)))),
        Effect.interruptible
      )
      const watching = Effect.zipRight(
        topics.watch(generation),
        Effect.sync(() => ended.done(Effect.void))
      )
      // A transaction that commits the first positions can't be interrupted: nothing waits for its end here.
      return Effect.flatMap(Effect.forkIn(opening, scope), (fiber) =>
        Effect.ensuring(restore(RunUntil.done(ended, watching)), Fiber.interruptFork(fiber))
      )
    })

  const generations = Effect.gen(function* () {
    if (!checked) yield* topics.check
    checked = true
    while (true) {
      // A stop may arrive in the instant in which a rebalance ends the generation.
      if (stopping) return yield* Effect.never
      const joined = yield* join
      if (stopping) return yield* Effect.never
      backoff.reset()
      yield* member.log("Joined the group", { leader: joined.isLeader, partitions: show(joined.assignment) })
      const owned = assignment.owned()
      yield* assignment.open(without(joined.assignment, owned), joined.startCounts)
      const moving = without(owned, joined.assignment)
      if (moving.length === 0) yield* liveIn(joined)
      const revoked = Decisions.revokedBeforeJoin(member.protocol, assignment.owned(), moving)
      if (revoked.length === 0) continue
      yield* member.log("A rebalance is in progress: revoking partitions", { partitions: show(revoked) })
      yield* assignment.revoke(revoked)
    }
  })

  /** Partitions that are kept through a rebalance can't be committed before its new generation is known. */
  const mustFinishJoin = () =>
    member.protocol === "cooperative" && member.phase !== "Stable" && assignment.owned().length > 0

  const run = Effect.gen(function* () {
    while (true) {
      if (!stopping) yield* RunUntil.done(over, generations)
      if (stopping) halted.done(Effect.void)
      yield* lost.wait
      yield* member.log("The membership was lost: dropping the partitions")
      yield* assignment.lose
      yield* heartbeats.stop
      if (member.phase !== "Stable") yield* backoff.next
      member.phase = "Unjoined"
      lost = Completion.make()
      over = Completion.make()
    }
  }).pipe(Effect.tapError(loseIfFenced), Effect.ensuring(Effect.sync(() => halted.done(Effect.void))))

  return {
    run,
    view: () => ({
      memberId: member.memberId,
      generationId: member.generationId,
      isStable: member.phase === "Stable"
    }),
    stop: Effect.suspend(() => {
      stopping = true
      // A parked request may be lost. It is sent again at once, since the last commit waits for its response.
      if (mustFinishJoin()) {
        cluster.disconnect("join")
        return Effect.void
      }
      over.done(Effect.void)
      return halted.wait
    }),
    leave: Effect.suspend(() => {
      hasLeft = true
      over.done(Effect.void)
      cluster.retries.of("JoinGroup").dropped()
      member.phase = "Unjoined"
      const { groupId, groupInstanceId, memberId } = member.identity()
      const leaving =
        memberId === "" || !settings.leaveOnClose
          ? Effect.void
          : member.toCoordinator("group", "LeaveGroup", { groupId, members: [{ memberId, groupInstanceId }] })
      return Effect.zipRight(heartbeats.stop, Effect.ignore(Concurrency.timeoutOption(leaving, leaveTimeout)))
    })
  }
})
