/**
 * Group membership: joins, follows rebalances by the eager or the cooperative protocol, and leaves. What each answer
 * means is decided in `membership/decisions.ts`; what happens to the partitions, by the `Ownership` it is given.
 */
import type { ConsumerError, TopicPartition } from "@spillway/transport/Consumer"
import * as Concurrency from "@spillway/transport/runtime/Concurrency"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { OffsetCommitRequest, OffsetCommitResponse } from "../../Protocol.js"
import type { GroupMember } from "../../Transaction.js"
import type { Cluster } from "../cluster/cluster.js"
import * as Backoff from "../concurrency/backoff.js"
import * as Result from "../concurrency/completion.js"
import * as Until from "../concurrency/runUntil.js"
import type { ConsumerSettings } from "../settings/consumerSettings.js"
import { show, without } from "../topicPartition.js"
import type { CommitError } from "../transaction/commitError.js"
import * as Decisions from "./decisions.js"
import * as GroupStart from "./groupStart.js"
import * as Heartbeats from "./heartbeats.js"
import * as Join from "./join.js"
import * as Member from "./member.js"
import type { StartCounts } from "./startCounts.js"
import type { Subscription } from "./subscription.js"
import * as Topics from "./topics.js"

/** What becomes of partitions as they come and go. */
export interface Ownership {
  /** The partitions of open lanes, and of those that are being opened. */
  readonly owned: () => ReadonlyArray<TopicPartition>
  /**
   * Begins to find where to start and to open the lanes. `startCounts`: what the leader knows of the topics, if it tells
   * anything.
   */
  readonly open: (partitions: ReadonlyArray<TopicPartition>, startCounts: StartCounts) => Effect.Effect<void>
  /** Ends when every lane is open. */
  readonly opened: Effect.Effect<void>
  /** Lets what is in flight settle, commits it and ends these ownerships, within the rebalance timeout. */
  readonly revoke: (partitions: ReadonlyArray<TopicPartition>) => Effect.Effect<void>
  /** Ends every ownership at once, without a commit. */
  readonly lose: Effect.Effect<void>
  /** Starts, fetches and commits nothing more of what is owned, which `lose` is about to end. */
  readonly abandon: () => void
  /** When the session may expire unless it is renewed, in monotonic milliseconds: no lane starts a record after that. */
  readonly setSession: (endsAt: number, now: number) => void
}

export interface Membership {
  /** Joins and stays a member until interrupted by `leave`. */
  readonly run: Effect.Effect<never, ConsumerError>
  /**
   * Takes part in no further rebalance. One that is on is seen through to its generation where partitions are owned in
   * it, so that they can still be committed. Heartbeats go on until `leave`.
   */
  readonly stop: Effect.Effect<void>
  /** Sends a commit in the present generation; `undefined` where the phase lets none through. */
  readonly commit: (
    topics: OffsetCommitRequest["topics"]
  ) => Effect.Effect<OffsetCommitResponse | undefined, CommitError>
  readonly onCommitError: (code: number) => Effect.Effect<Decisions.Reaction>
  /** Sends a request to the group's coordinator, looking it up first if need be. */
  readonly toCoordinator: Member.Member["toCoordinator"]
  /** Ends heartbeats and tells the coordinator, best effort. */
  readonly leave: Effect.Effect<void>
  readonly view: () => { readonly memberId: string; readonly generationId: number; readonly isStable: boolean }
}

const leaveTimeout = "2 seconds"

export const make = Effect.fnUntraced(function* (options: {
  readonly cluster: Cluster
  readonly settings: ConsumerSettings
  readonly subscription: Subscription
  /** Fails where a topic that is read can't be read safely. */
  readonly checkTopics: (topics: ReadonlyArray<string>) => Effect.Effect<void, ConsumerError>
  readonly ownership: Ownership
  readonly fail: (error: ConsumerError) => Effect.Effect<void>
  readonly onJoined: Effect.Effect<void>
  /** Commits offsets as the member of a generation. */
  readonly sendOffsets: (
    member: GroupMember,
    topics: OffsetCommitRequest["topics"]
  ) => Effect.Effect<OffsetCommitResponse, CommitError>
}): Effect.fn.Return<Membership, never, Scope.Scope> {
  const { checkTopics, cluster, ownership, settings, subscription } = options
  const member = Member.make(cluster, settings)
  const topics = Topics.make({ cluster, member, settings, subscription, checkTopics })
  /** It takes part in no further rebalance. */
  const halted = Result.make<void>()
  const backoff = Backoff.make()
  let stopping = false
  /** The coordinator is asked to remove it, and so answers what is parked as to a stranger. */
  let hasLeft = false
  let checked = false
  /** The identity of the commit in flight. */
  let committing = member.identity()
  /** A rebalance of the present generation is on. */
  let rebalance = Result.make<void, ConsumerError>()
  /** The ownership has ended without us. */
  let lost = Result.make<void>()
  /** No further generation is lived in: the membership was lost, or is to end. */
  let over = Result.make<void, ConsumerError>()

  const onLost = (memberIdKept: boolean): void => {
    if (hasLeft) return
    if (!memberIdKept) member.memberId = ""
    lost.done(Effect.void)
    over.done(Effect.void)
  }

  // There, a group of this name has members, generations and offsets of its own.
  cluster.onMove(() => {
    ownership.abandon()
    onLost(false)
  })

  /** A fenced member's partitions are another's already: there is nothing to settle. */
  const giveUpIfFenced = (error: ConsumerError) => (error.reason === "FencedInstance" ? ownership.lose : Effect.void)

  const fail = (error: ConsumerError) => Effect.zipRight(giveUpIfFenced(error), options.fail(error))

  const heartbeats = yield* Heartbeats.make({
    cluster,
    member,
    settings,
    fail,
    onLost,
    onRebalance: () => rebalance.done(Effect.void),
    setSession: ownership.setSession
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
    onLost,
    owned: ownership.owned,
    topics: subscription.refresh,
    countPartitions: topics.countPartitions,
    groupStart,
    onGeneration: Effect.suspend(() => {
      rebalance = Result.make()
      return heartbeats.start
    }),
    onAttempted: () => {
      if (stopping) over.done(Effect.void)
    }
  })

  /** Ends when the group is to assign anew. */
  const liveIn = (generation: Join.Generation) =>
    Until.done(
      rebalance,
      Effect.zipRight(ownership.opened, options.onJoined).pipe(
        Effect.catchAllCause((cause) => Effect.sync(() => rebalance.done(Effect.failCause(cause)))),
        Effect.fork,
        Effect.zipRight(topics.watch(generation)),
        Effect.zipRight(Effect.sync(() => rebalance.done(Effect.void)))
      )
    )

  const generations = Effect.gen(function* () {
    if (!checked) yield* topics.check
    checked = true
    while (true) {
      // It may be told to stop in the instant in which a rebalance ends the generation.
      if (stopping) return yield* Effect.never
      const joined = yield* join
      if (stopping) return yield* Effect.never
      backoff.reset()
      yield* member.log("Joined the group", { leader: joined.isLeader, partitions: show(joined.assignment) })
      const owned = ownership.owned()
      yield* ownership.open(without(joined.assignment, owned), joined.startCounts)
      const moving = without(owned, joined.assignment)
      if (moving.length === 0) yield* liveIn(joined)
      const revoked = Decisions.revokedBeforeJoin(member.protocol, ownership.owned(), moving)
      if (revoked.length === 0) continue
      yield* member.log("A rebalance is in progress: revoking partitions", { partitions: show(revoked) })
      yield* ownership.revoke(revoked)
    }
  })

  /** Partitions that are kept through a rebalance can't be committed before its new generation is known. */
  const mustFinishJoin = () =>
    member.protocol === "cooperative" && member.phase !== "Stable" && ownership.owned().length > 0

  const run = Effect.gen(function* () {
    while (true) {
      if (!stopping) yield* Until.done(over, generations)
      if (stopping) halted.done(Effect.void)
      yield* lost.wait
      yield* member.log("The membership was lost: dropping the partitions")
      yield* ownership.lose
      yield* heartbeats.stop
      if (member.phase !== "Stable") yield* backoff.next
      member.phase = "Unjoined"
      lost = Result.make()
      over = Result.make()
    }
  }).pipe(Effect.tapError(giveUpIfFenced), Effect.ensuring(Effect.sync(() => halted.done(Effect.void))))

  return {
    run,
    view: () => ({
      memberId: member.memberId,
      generationId: member.generationId,
      isStable: member.phase === "Stable"
    }),
    stop: Effect.suspend(() => {
      stopping = true
      // What is parked may be lost: it is asked for again at once, since the last commit waits for it.
      if (mustFinishJoin()) {
        cluster.disconnect("join")
        return Effect.void
      }
      over.done(Effect.void)
      return halted.wait
    }),
    toCoordinator: member.toCoordinator,
    commit: (topics) =>
      Effect.suspend(() => {
        if (!Decisions.mayCommit(member.protocol, member.phase)) return Effect.succeed(undefined)
        committing = member.identity()
        return options.sendOffsets(committing, topics)
      }),
    onCommitError: (code) =>
      Effect.suspend((): Effect.Effect<Decisions.Reaction> => {
        const { generationId, memberId } = committing
        const isCurrent = generationId === member.generationId && memberId === member.memberId
        const reaction = Decisions.onOffsetCommit(code, isCurrent)
        if (reaction._tag === "FindCoordinator") cluster.forgetCoordinator(settings.groupId)
        if (reaction._tag === "Lost") onLost(reaction.memberIdKept)
        return reaction._tag === "Fatal"
          ? Effect.as(fail(member.refused(reaction, "OffsetCommit", code)), reaction)
          : Effect.succeed(reaction)
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
