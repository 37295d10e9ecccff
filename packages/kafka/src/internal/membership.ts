/**
 * Group membership: joins, heartbeats on a timer of its own, and follows rebalances by the eager protocol. What each
 * answer means is decided in `membership/decisions.ts`; what happens to the partitions, by the `Ownership` it is given.
 */
import { ConsumerError, type TopicPartition } from "@spillway/transport/Consumer"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { KafkaErrorCode as Code, nameOf } from "../KafkaErrorCode.js"
import type {
  Api,
  JoinGroupResponse,
  OffsetCommitRequest,
  OffsetCommitResponse,
  Request,
  Response
} from "../Protocol.js"
import type { Role, WireError } from "../Wire.js"
import * as Range from "./assignors/range.js"
import * as Backoff from "./backoff.js"
import type { Cluster, ResponseError } from "./cluster.js"
import * as ConsumerProtocol from "./consumerProtocol.js"
import type { ConsumerSettings } from "./consumerSettings.js"
import * as Decisions from "./membership/decisions.js"

/** What becomes of partitions as they come and go. */
export interface Ownership {
  /** Finds where to start and opens the lanes. Interrupted when the next rebalance comes first. */
  readonly open: (partitions: ReadonlyArray<TopicPartition>) => Effect.Effect<void, ConsumerError>
  /** Lets what is in flight settle, commits it and ends every ownership, within the rebalance timeout. */
  readonly revoke: Effect.Effect<void>
  /** Ends every ownership at once, without a commit. */
  readonly lose: Effect.Effect<void>
  /** Whether lanes may start records: not while the session may have expired. */
  readonly setSessionAlive: (alive: boolean) => void
}

export interface Membership {
  /** Joins and stays a member until interrupted; heartbeats go on after that, until `leave`. */
  readonly run: Effect.Effect<never, ConsumerError>
  /** Sends a commit in the present generation; `undefined` where the phase lets none through. */
  readonly commit: (
    topics: OffsetCommitRequest["topics"]
  ) => Effect.Effect<OffsetCommitResponse | undefined, WireError | ResponseError>
  readonly onCommitError: (code: number) => Effect.Effect<Decisions.Reaction>
  /** Sends a request to the group's coordinator, looking it up first if need be. */
  readonly toCoordinator: <A extends Api>(
    role: Role,
    api: A,
    request: Request<A>
  ) => Effect.Effect<Response<A>, WireError | ResponseError>
  /** Ends heartbeats and tells the coordinator, best effort. */
  readonly leave: Effect.Effect<void>
  readonly view: () => { readonly memberId: string; readonly generationId: number; readonly isStable: boolean }
}

/** One generation as this member lives it. */
interface Session {
  readonly isLeader: boolean
  /** The partition counts the leader assigned by. */
  readonly partitionCounts: ReadonlyMap<string, number>
  readonly assignment: ReadonlyArray<TopicPartition>
  /** A rebalance is on. */
  readonly rebalance: Deferred.Deferred<void>
  /** The ownership has ended without us. */
  readonly lost: Deferred.Deferred<void>
}

const protocol: Decisions.RebalanceProtocol = "eager"
const leaveTimeout = "2 seconds"

export const make = Effect.fnUntraced(function* (options: {
  readonly cluster: Cluster
  readonly settings: ConsumerSettings
  readonly ownership: Ownership
  readonly fail: (error: ConsumerError) => Effect.Effect<void>
  readonly onJoined: Effect.Effect<void>
}): Effect.fn.Return<Membership, never, Scope.Scope> {
  const { cluster, fail, ownership, settings } = options
  const { groupId } = settings
  const scope = yield* Effect.scope
  let phase: Decisions.Phase = "Unjoined"
  let memberId = ""
  let generationId = -1
  let session: Session | undefined
  /** The session of the commit in flight. */
  let committing: Session | undefined
  let heartbeats: Fiber.Fiber<void> | undefined

  const error = (reason: ConsumerError["reason"], description: string, cause?: unknown) =>
    new ConsumerError({ reason, groupId, description, cause })

  const toCoordinator: Membership["toCoordinator"] = (role, api, request) =>
    cluster.coordinator(groupId).pipe(
      Effect.flatMap((nodeId) => cluster.request(nodeId, role, api, request)),
      Effect.tapError(() => Effect.sync(() => cluster.forgetCoordinator(groupId)))
    )

  /** Fails on what no repetition mends. */
  const fatal = (cause: WireError | ResponseError): Effect.Effect<void, ConsumerError> => {
    if (cause._tag === "ResponseError") {
      const reaction = Decisions.onFindCoordinator(cause.code)
      return reaction._tag === "Fatal" ? Effect.fail(error(reaction.reason, cause.message, cause)) : Effect.void
    }
    if (cause.reason === "Authentication") return Effect.fail(error("Authorization", cause.message, cause))
    if (cause.reason === "UnsupportedVersion") return Effect.fail(error("UnsupportedBroker", cause.message, cause))
    return Effect.void
  }

  const describe = (api: Api, code: number): string =>
    code === Code.INVALID_SESSION_TIMEOUT
      ? `${api} answered ${nameOf(code)}: sessionTimeout ${settings.sessionTimeoutMs} ms is outside the broker's bounds`
      : `${api} answered ${nameOf(code)}`

  /** Acts on a reaction that isn't `Ok`; ends when the member may try again. */
  const settle = (reaction: Decisions.Reaction, backoff: Backoff.Backoff, api: Api, code: number) => {
    switch (reaction._tag) {
      case "Fatal":
        return Effect.fail(error(reaction.reason, describe(api, code)))
      case "FindCoordinator":
        cluster.forgetCoordinator(groupId)
        return backoff.next
      case "Lost":
        if (!reaction.memberIdKept) memberId = ""
        return backoff.next
      case "Retry":
        return backoff.next
      default:
        return Effect.void
    }
  }

  const countPartitions = Effect.fnUntraced(function* (topics: ReadonlyArray<string>) {
    const counts = new Map<string, number>()
    for (const topic of yield* cluster.refresh(topics)) {
      if (topic.errorCode === Code.TOPIC_AUTHORIZATION_FAILED) {
        return yield* Effect.fail(error("Authorization", `topic ${topic.topic}: ${nameOf(topic.errorCode)}`))
      }
      if (topic.errorCode === Code.NONE) counts.set(topic.topic, topic.partitions.length)
    }
    return counts
  })

  const assign = Effect.fnUntraced(function* (joined: JoinGroupResponse) {
    const members = joined.members.map((member) => ({
      memberId: member.memberId,
      groupInstanceId: member.groupInstanceId,
      topics: ConsumerProtocol.decodeSubscription(member.metadata).topics
    }))
    const counts = yield* countPartitions(Array.from(new Set(members.flatMap((member) => member.topics))))
    const assignments = Array.from(Range.assign(members, counts), ([memberId, partitions]) => ({
      memberId,
      assignment: ConsumerProtocol.encodeAssignment(partitions)
    }))
    return { counts, assignments }
  })

  /** One JoinGroup and SyncGroup; `undefined` when both have to be tried again. */
  const joinOnce = Effect.fnUntraced(function* (backoff: Backoff.Backoff) {
    phase = "Joining"
    const joined = yield* toCoordinator("join", "JoinGroup", {
      groupId,
      memberId,
      groupInstanceId: null,
      sessionTimeoutMs: settings.sessionTimeoutMs,
      rebalanceTimeoutMs: settings.rebalanceTimeoutMs,
      protocolType: "consumer",
      protocols: [
        {
          name: "range",
          metadata: ConsumerProtocol.encodeSubscription({ topics: settings.topics, ownedPartitions: [] })
        }
      ]
    })
    const onJoin = Decisions.onJoinGroup(joined.errorCode)
    if (onJoin._tag === "UseMemberId") {
      memberId = joined.memberId
      return undefined
    }
    if (onJoin._tag !== "Ok") return yield* Effect.as(settle(onJoin, backoff, "JoinGroup", joined.errorCode), undefined)

    phase = "Syncing"
    memberId = joined.memberId
    generationId = joined.generationId
    const isLeader = joined.leader === joined.memberId
    const pending = {
      isLeader,
      rebalance: yield* Deferred.make<void>(),
      lost: yield* Deferred.make<void>()
    }
    heartbeats = yield* Effect.forkIn(Effect.interruptible(heartbeat(pending)), scope)
    const plan = isLeader ? yield* assign(joined) : { counts: new Map<string, number>(), assignments: [] }
    const synced = yield* toCoordinator("join", "SyncGroup", {
      groupId,
      generationId,
      memberId,
      groupInstanceId: null,
      assignments: plan.assignments
    })
    const onSync = Decisions.onSyncGroup(synced.errorCode)
    if (onSync._tag !== "Ok") return yield* Effect.as(settle(onSync, backoff, "SyncGroup", synced.errorCode), undefined)
    phase = "Stable"
    return {
      ...pending,
      partitionCounts: plan.counts,
      assignment: ConsumerProtocol.decodeAssignment(synced.assignment)
    } satisfies Session
  })

  const join = Effect.gen(function* () {
    const backoff = Backoff.make()
    while (true) {
      const joined = yield* joinOnce(backoff).pipe(
        Effect.catchTags({
          WireError: (cause) => Effect.zipRight(fatal(cause), Effect.as(backoff.next, undefined)),
          ResponseError: (cause) => Effect.zipRight(fatal(cause), Effect.as(backoff.next, undefined))
        })
      )
      if (joined !== undefined) return joined
      yield* endHeartbeats
    }
  })

  const heartbeat = Effect.fnUntraced(function* (session: Pick<Session, "rebalance" | "lost">) {
    const acknowledged = { at: yield* Clock.currentTimeMillis }
    ownership.setSessionAlive(true)
    yield* Effect.raceFirst(beat(session, acknowledged), watchExpiry(acknowledged))
  })

  /** Notices on time that the session may have expired, however long a heartbeat takes or waits for its turn. */
  const watchExpiry = Effect.fnUntraced(function* (acknowledged: { readonly at: number }) {
    while (true) {
      const left = acknowledged.at + settings.sessionTimeoutMs - (yield* Clock.currentTimeMillis)
      if (left <= 0) ownership.setSessionAlive(false)
      yield* Effect.sleep(left > 0 ? left : settings.heartbeatIntervalMs)
    }
  })

  const beat = Effect.fnUntraced(function* (
    session: Pick<Session, "rebalance" | "lost">,
    acknowledged: { at: number }
  ) {
    const backoff = Backoff.make(100, settings.heartbeatIntervalMs)
    let wait = Effect.sleep(settings.heartbeatIntervalMs)
    while (true) {
      yield* wait
      const sent = yield* Clock.currentTimeMillis
      const untilExpiry = acknowledged.at + settings.sessionTimeoutMs - sent
      const answer = yield* toCoordinator("group", "Heartbeat", {
        groupId,
        generationId,
        memberId,
        groupInstanceId: null
      }).pipe(
        Effect.map((response): Decisions.Reaction => Decisions.onHeartbeat(response.errorCode)),
        Effect.catchAll((cause) => Effect.as(Effect.catchAll(fatal(cause), fail), retry)),
        // A broker that is frozen doesn't answer at all: the session expires while we wait.
        Effect.timeoutTo({
          duration: untilExpiry > 0 ? untilExpiry : settings.heartbeatIntervalMs,
          onSuccess: (reaction) => reaction,
          onTimeout: () => retry
        })
      )
      wait = Effect.sleep(settings.heartbeatIntervalMs)
      switch (answer._tag) {
        case "Ok":
        case "Rejoin":
          acknowledged.at = sent
          backoff.reset()
          ownership.setSessionAlive(true)
          if (answer._tag === "Rejoin") yield* Deferred.succeed(session.rebalance, undefined)
          break
        case "Lost":
          if (!answer.memberIdKept) memberId = ""
          yield* Deferred.succeed(session.lost, undefined)
          return
        case "Fatal":
          yield* fail(error(answer.reason, "Heartbeat was refused"))
          return
        case "FindCoordinator":
          cluster.forgetCoordinator(groupId)
          wait = backoff.next
          break
        default:
          wait = backoff.next
      }
    }
  })

  const endHeartbeats = Effect.suspend(() => {
    const running = heartbeats
    heartbeats = undefined
    return running === undefined ? Effect.void : Fiber.interrupt(running)
  })

  /** The leader looks for topics and partitions that came or went; nobody else's rejoin would change the assignment. */
  const watchPartitions = (session: Session) =>
    Effect.gen(function* () {
      if (!session.isLeader) return yield* Effect.never
      const topics = Array.from(new Set([...session.partitionCounts.keys(), ...settings.topics]))
      while (true) {
        const missing = topics.some((topic) => !session.partitionCounts.has(topic))
        yield* Effect.sleep(missing ? Math.min(1_000, settings.metadataIntervalMs) : settings.metadataIntervalMs)
        const counts = yield* Effect.option(countPartitions(topics))
        if (counts._tag === "None") continue
        if (topics.some((topic) => counts.value.get(topic) !== session.partitionCounts.get(topic))) return
      }
    })

  const logJoined = (session: Session) =>
    Effect.logInfo("Joined the group").pipe(
      Effect.annotateLogs({
        groupId,
        memberId,
        generationId,
        leader: session.isLeader,
        partitions: session.assignment.map(({ topic, partition }) => `${topic}-${partition}`).join(" ")
      })
    )

  const log = (message: string) =>
    Effect.suspend(() => Effect.annotateLogs(Effect.logInfo(message), { groupId, memberId, generationId }))

  const run = Effect.gen(function* () {
    yield* awaitBroker
    while (true) {
      const joined = yield* join
      session = joined
      yield* logJoined(joined)
      const rebalance = Deferred.await(joined.rebalance)
      const lost = Effect.as(Deferred.await(joined.lost), "lost" as const)
      const end = yield* ownership
        .open(joined.assignment)
        .pipe(
          Effect.zipRight(options.onJoined),
          Effect.zipRight(Effect.never),
          Effect.raceFirst(rebalance),
          Effect.raceFirst(watchPartitions(joined)),
          Effect.zipRight(log("A rebalance is on: giving up the partitions")),
          Effect.zipRight(ownership.revoke),
          Effect.raceFirst(lost)
        )
      if (end === "lost") {
        yield* log("The membership was lost: giving up the partitions")
        yield* ownership.lose
      }
      phase = "Unjoined"
      session = undefined
      yield* endHeartbeats
    }
  })

  /** Learns the topics once, so that missing ones are logged and forbidden ones fail before anything is joined. */
  const awaitBroker = Effect.gen(function* () {
    const backoff = Backoff.make()
    while (true) {
      const counts = yield* Effect.catchTag(countPartitions(settings.topics), "WireError", (cause) =>
        fatal(cause).pipe(Effect.zipRight(backoff.next), Effect.as(undefined))
      )
      if (counts === undefined) continue
      for (const topic of settings.topics) {
        if (!counts.has(topic)) {
          yield* Effect.annotateLogs(Effect.logWarning("The topic does not exist: waiting for it"), { groupId, topic })
        }
      }
      return
    }
  })

  return {
    run,
    view: () => ({ memberId, generationId, isStable: phase === "Stable" }),
    toCoordinator,
    commit: (topics) =>
      Effect.suspend(() => {
        if (!Decisions.mayCommit(protocol, phase)) return Effect.succeed(undefined)
        committing = session
        return toCoordinator("group", "OffsetCommit", {
          groupId,
          generationId,
          memberId,
          groupInstanceId: null,
          topics
        })
      }),
    onCommitError: (code) =>
      Effect.suspend((): Effect.Effect<Decisions.Reaction> => {
        const reaction = Decisions.onOffsetCommit(code)
        if (reaction._tag === "FindCoordinator") cluster.forgetCoordinator(groupId)
        // An answer that comes after the member has joined anew says nothing of the new session.
        if (reaction._tag === "Lost" && session !== undefined && session === committing) {
          if (!reaction.memberIdKept) memberId = ""
          Deferred.unsafeDone(session.lost, Effect.void)
        }
        return reaction._tag === "Fatal"
          ? Effect.as(fail(error(reaction.reason, describe("OffsetCommit", code))), reaction)
          : Effect.succeed(reaction)
      }),
    leave: Effect.suspend(() => {
      phase = "Unjoined"
      const leaving =
        memberId === ""
          ? Effect.void
          : toCoordinator("group", "LeaveGroup", { groupId, members: [{ memberId, groupInstanceId: null }] })
      return Effect.zipRight(endHeartbeats, Effect.ignore(Effect.timeout(leaving, leaveTimeout)))
    })
  }
})

const retry: Decisions.Reaction = { _tag: "Retry" }
