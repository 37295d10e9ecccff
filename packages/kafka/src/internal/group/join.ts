/**
 * JoinGroup and SyncGroup: how the member enters a generation.
 */
import type { ConsumerError, TopicPartition } from "@spillway/transport/Consumer"
import * as Monotonic from "@spillway/transport/runtime/Monotonic"
import * as Effect from "effect/Effect"
import { nameOf } from "../../KafkaErrorCode.js"
import type { Api, Request } from "../../Protocol.js"
import type { WireError } from "../../Wire.js"
import type { Cluster, ResponseError } from "../cluster/cluster.js"
import * as Backoff from "../concurrency/backoff.js"
import * as Patience from "../concurrency/patience.js"
import type { ConsumerSettings } from "../settings/consumerSettings.js"
import * as ConsumerProtocol from "./consumerProtocol.js"
import * as Decisions from "./decisions.js"
import type * as GroupStart from "./groupStart.js"
import * as Leader from "./leader.js"
import type { Member } from "./member.js"
import * as StartCounts from "./startCounts.js"

/** One generation from the view of this member. */
export interface Generation {
  readonly isLeader: boolean
  /** Whether the member looks for added and deleted topics and partitions, for the whole group. */
  readonly watchesTopics: boolean
  /** The topics that the member subscribed to. */
  readonly topics: ReadonlyArray<string>
  /** The partition counts that the leader assigned by; empty for a follower. */
  readonly partitionCounts: ReadonlyMap<string, number>
  readonly assignment: ReadonlyArray<TopicPartition>
  /** The start counts that the leader sent for its topics. */
  readonly startCounts: StartCounts.StartCounts
}

export interface JoinOptions {
  readonly cluster: Cluster
  readonly member: Member
  readonly settings: ConsumerSettings
  readonly owned: () => ReadonlyArray<TopicPartition>
  readonly topics: Effect.Effect<ReadonlyArray<string>, ConsumerError | WireError>
  readonly countPartitions: (
    topics: ReadonlyArray<string>
  ) => Effect.Effect<ReadonlyMap<string, number>, ConsumerError | WireError>
  readonly groupStart: GroupStart.GroupStart
  /** The coordinator has begun a generation with this member: the session is new, the assignment still pending. */
  readonly onGeneration: Effect.Effect<void>
  /** Called after each attempt that was answered. */
  readonly onAttempted: () => void
}

/** An attempt that was answered, but without an assignment. */
interface Refusal {
  readonly reaction: Decisions.Reaction
  readonly api: Api
  readonly code: number
}

/**
 * Joins, and retries until it has an assignment. Each join opens a new connection: one that was idle since the last
 * rebalance may have died unnoticed.
 */
export const make = (options: JoinOptions): Effect.Effect<Generation, ConsumerError> => {
  const { cluster, groupStart, member, settings } = options
  const retry = cluster.retries.of("JoinGroup")
  /** When the last request was sent, in monotonic milliseconds. */
  let askedAt = 0
  /** Requests sent since the last response. */
  let unanswered = 0

  const ask = <A extends "JoinGroup" | "SyncGroup">(api: A, request: Request<A>) =>
    Effect.flatMap(Monotonic.now, (now) => {
      askedAt = now
      return member.toCoordinator("join", api, request, Patience.parkedLimitMs(settings, unanswered))
    }).pipe(
      Effect.tapBoth({
        onFailure: () => Effect.sync(() => unanswered++),
        onSuccess: () =>
          Effect.sync(() => {
            unanswered = 0
          })
      })
    )

  /** Retried as it is: the leader's JoinGroup would start another rebalance. */
  const sync = Effect.fnUntraced(function* (request: Request<"SyncGroup">) {
    const backoff = Backoff.make()
    let isRepeated = false
    while (true) {
      const answer = yield* Effect.either(ask("SyncGroup", request))
      if (answer._tag === "Right")
        return {
          ...answer.right,
          reaction: Decisions.onSyncGroup(answer.right.errorCode, isRepeated, member.keepsOwnership)
        }
      yield* member.rejectFatal(answer.left)
      yield* retry.failed(answer.left, askedAt)
      isRepeated = true
      yield* backoff.next
    }
  })

  /** Ends when the member may try again. */
  const settle = ({ api, code, reaction }: Refusal, backoff: Backoff.Backoff): Effect.Effect<void, ConsumerError> => {
    switch (reaction._tag) {
      case "Fatal":
        return Effect.fail(member.refused(reaction, api, code))
      case "FindCoordinator":
        cluster.forgetCoordinator(settings.groupId)
        return backoff.next
      case "Lost":
        member.lose(reaction.memberIdKept)
        return Effect.never
      case "Retry":
      case "Rejoin":
        return backoff.next
      default:
        return Effect.void
    }
  }

  const attempt = Effect.gen(function* () {
    const before = member.generationId
    const topics = yield* options.topics
    groupStart.onJoin(topics)
    const metadata = ConsumerProtocol.encodeSubscription({
      topics,
      ownedPartitions: options.owned(),
      generationId: before,
      rackId: settings.rackId
    })
    const joined = yield* ask("JoinGroup", {
      groupId: settings.groupId,
      memberId: member.memberId,
      groupInstanceId: settings.groupInstanceId,
      sessionTimeoutMs: settings.sessionTimeoutMs,
      rebalanceTimeoutMs: settings.rebalanceTimeoutMs,
      protocolType: "consumer",
      protocols: settings.assignors.map((name) => ({ name, metadata }))
    })
    const refused = (reaction: Decisions.Reaction): Refusal => ({ reaction, api: "JoinGroup", code: joined.errorCode })
    const onJoin = Decisions.onJoinGroup(joined.errorCode)
    if (onJoin._tag === "UseMemberId") member.memberId = joined.memberId
    if (onJoin._tag !== "Ok") return refused(onJoin)

    member.phase = "Syncing"
    member.memberId = joined.memberId
    member.generationId = joined.generationId
    member.keepsOwnership = Decisions.keepsOwnership(member.protocol, settings.groupInstanceId !== null, joined.leader)
    yield* options.onGeneration
    const isStatic = settings.groupInstanceId !== null
    if (options.owned().length > 0 && Decisions.missedGeneration(isStatic, before, joined.generationId)) {
      return refused({ _tag: "Lost", memberIdKept: true })
    }
    const isLeader = joined.leader === joined.memberId
    const isFormerLeader = Decisions.isFormerLeader(settings.groupInstanceId, joined.memberId, joined.leader)
    const plan = isLeader ? yield* Leader.plan(joined, options.countPartitions, groupStart.decide) : Leader.noPlan
    const synced = yield* sync({ ...member.identity(), assignments: plan.assignments })
    const { errorCode: code, reaction } = synced
    if (reaction._tag !== "Ok") return { reaction, api: "SyncGroup", code } satisfies Refusal
    member.phase = "Stable"
    const assignment = ConsumerProtocol.decodeAssignment(synced.assignment)
    const startCounts = StartCounts.decode(ConsumerProtocol.userDataOf(synced.assignment))
    groupStart.onAssigned(topics, isLeader, startCounts)
    return {
      isLeader,
      watchesTopics: isLeader || isFormerLeader,
      topics,
      // Partitions may have been added since it assigned them.
      partitionCounts: isFormerLeader
        ? yield* Effect.flatMap(options.countPartitions(topics), groupStart.countAssigned)
        : plan.partitionCounts,
      assignment,
      startCounts
    } satisfies Generation
  })

  const failed = (cause: WireError | ResponseError) => Effect.as(member.rejectFatal(cause), cause)

  const offsetsRefused = ({ code, reaction }: GroupStart.OffsetsRefused): Effect.Effect<Refusal> =>
    Effect.succeed({ reaction, api: "OffsetFetch", code })

  const untilAssigned = Effect.gen(function* () {
    const backoff = Backoff.make()
    while (true) {
      member.phase = "Joining"
      const attempted = yield* Effect.catchTags(attempt, {
        WireError: failed,
        ResponseError: failed,
        OffsetsRefused: offsetsRefused
      })
      if ("assignment" in attempted) {
        options.onAttempted()
        yield* retry.succeeded
        return attempted
      }
      member.phase = "Joining"
      if ("_tag" in attempted) {
        yield* retry.failed(attempted, askedAt)
        yield* backoff.next
        continue
      }
      options.onAttempted()
      const { api, code, reaction } = attempted
      if (reaction._tag !== "UseMemberId" && reaction._tag !== "Fatal")
        yield* retry.failed(`${api} answered ${nameOf(code)}`, askedAt)
      yield* settle(attempted, backoff)
    }
  })

  return Effect.ensuring(
    untilAssigned,
    Effect.sync(() => cluster.disconnect("join"))
  )
}
