/**
 * The conformance suite's interface to a Kafka, in memory or real, and the clients and group members with which it
 * drives it.
 */
import { KafkaErrorCode, nameOf } from "@spillway/kafka/KafkaErrorCode"
import { type JoinGroupRequest, type JoinGroupResponse, latestTimestamp } from "@spillway/kafka/Protocol"
import type { Connection, Wire, WireError } from "@spillway/kafka/Wire"
import type * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"

export interface HarnessClient {
  readonly wire: Context.Tag.Service<Wire>
  /** Ends the client's connections. */
  readonly cut: Effect.Effect<void>
}

export interface Harness {
  readonly client: Effect.Effect<HarnessClient, unknown, Scope.Scope>
  /** A name that no topic or group has had before. */
  readonly unique: (prefix: string) => string
  /** Advances a virtual clock. A real one advances by itself while the test waits. */
  readonly elapse: (duration: Duration.DurationInput) => Effect.Effect<void>
}

export interface Suite {
  readonly name: string
  /** Declares one test over a fresh harness. */
  readonly test: (name: string, body: (harness: Harness) => Effect.Effect<void, unknown, Scope.Scope>) => void
}

/** Repeats the request until it gets the wanted answer. Dies if it never does. Every request goes to the broker. */
export const eventually = <A, E, R>(
  ask: Effect.Effect<A, E, R>,
  until: (answer: A) => boolean
): Effect.Effect<A, E, R> =>
  Effect.zipLeft(ask, Effect.yieldNow()).pipe(
    Effect.repeat({ until, times: 50_000 }),
    Effect.filterOrDieMessage(until, "the awaited answer never arrived")
  )

/** Connections of one client to the broker, by role. */
export interface Session {
  readonly client: HarnessClient
  readonly data: Connection
  readonly fetch: Connection
}

export const openSession = (harness: Harness): Effect.Effect<Session, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const client = yield* harness.client
    const endpoint = client.wire.bootstrap[0]!
    return {
      client,
      data: yield* client.wire.connect(endpoint, "data"),
      fetch: yield* client.wire.connect(endpoint, "fetch")
    }
  })

/** Creates a topic and waits until every partition can be used. */
export const createTopic = (
  harness: Harness,
  { data }: Session,
  partitions = 1,
  configs: ReadonlyArray<{ readonly name: string; readonly value: string }> = []
): Effect.Effect<string, unknown> =>
  Effect.gen(function* () {
    const topic = harness.unique("topic")
    const created = yield* data.request("CreateTopics", {
      timeoutMs: 10_000,
      topics: [{ topic, partitions, replicationFactor: -1, configs }]
    })
    const errorCode = created.topics[0]?.errorCode
    if (errorCode !== KafkaErrorCode.NONE) return yield* Effect.fail(`${topic}: ${nameOf(errorCode ?? -1)}`)
    yield* eventually(data.request("Metadata", { topics: [topic] }), ({ topics }) => {
      const [found] = topics
      return found?.errorCode === 0 && found.partitions.filter(({ leader }) => leader >= 0).length === partitions
    })
    // The metadata may name a leader that hasn't opened its log yet.
    const ends = Array.from({ length: partitions }, (_, partition) => ({ partition, timestamp: latestTimestamp }))
    yield* eventually(data.request("ListOffsets", { topics: [{ topic, partitions: ends }] }), ({ topics }) =>
      topics.every(({ partitions }) => partitions.every(({ errorCode }) => errorCode === KafkaErrorCode.NONE))
    )
    return topic
  })

export interface MemberOptions {
  readonly sessionTimeoutMs?: number | undefined
  readonly rebalanceTimeoutMs?: number | undefined
  readonly groupInstanceId?: string | undefined
  /** Protocol names with the metadata's first byte. */
  readonly protocols?: Readonly<Record<string, number>> | undefined
}

/** A group member that the tests drive: one request at a time, its member id remembered. */
export interface Member {
  readonly id: () => string
  readonly client: HarnessClient
  readonly connection: Connection
  /** One JoinGroup request, unchanged. */
  readonly joinOnce: (overrides?: Partial<JoinGroupRequest>) => Effect.Effect<JoinGroupResponse, WireError>
  /** Joins, with the member id that the broker issues if it has none yet. */
  readonly join: Effect.Effect<JoinGroupResponse, WireError>
  readonly sync: (
    generationId: number,
    assignments?: Readonly<Record<string, number>>
  ) => Effect.Effect<{ readonly errorCode: number; readonly assignment: ReadonlyArray<number> }, WireError>
  readonly heartbeat: (generationId: number) => Effect.Effect<number, WireError>
  readonly commit: (generationId: number, topic: string, offset: number) => Effect.Effect<number, WireError>
  readonly leave: Effect.Effect<number, WireError>
}

export const member = (
  harness: Harness,
  groupId: string,
  options: MemberOptions = {}
): Effect.Effect<Member, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const client = yield* harness.client
    const bootstrap = yield* client.wire.connect(client.wire.bootstrap[0]!, "group")
    // A broker that has just started loads its coordinators at the first request.
    const { coordinator } = yield* eventually(
      bootstrap.request("FindCoordinator", { key: groupId, keyType: "group" }),
      ({ errorCode }) => errorCode === KafkaErrorCode.NONE
    )
    const joins = yield* client.wire.connect(coordinator, "join")
    const connection = yield* client.wire.connect(coordinator, "group")
    yield* eventually(
      connection.request("OffsetFetch", { groupId, topics: null }),
      ({ errorCode }) => errorCode === KafkaErrorCode.NONE
    )
    let memberId = ""
    const groupInstanceId = options.groupInstanceId ?? null

    const joinOnce = (overrides: Partial<JoinGroupRequest> = {}) =>
      Effect.suspend(() =>
        joins.request("JoinGroup", {
          groupId,
          memberId,
          groupInstanceId,
          sessionTimeoutMs: options.sessionTimeoutMs ?? 30_000,
          rebalanceTimeoutMs: options.rebalanceTimeoutMs ?? 60_000,
          protocolType: "consumer",
          protocols: protocolsOf(options.protocols ?? { range: 1 }),
          ...overrides
        })
      )

    const join: Member["join"] = Effect.flatMap(joinOnce(), (response) => {
      if (response.memberId !== "") memberId = response.memberId
      return response.errorCode === KafkaErrorCode.MEMBER_ID_REQUIRED ? join : Effect.succeed(response)
    })

    return {
      id: () => memberId,
      client,
      connection,
      joinOnce,
      join,
      sync: (generationId, assignments = {}) =>
        Effect.map(
          Effect.suspend(() =>
            joins.request("SyncGroup", {
              groupId,
              generationId,
              memberId,
              groupInstanceId,
              assignments: Object.entries(assignments).map(([memberId, byte]) => ({
                memberId,
                assignment: Uint8Array.of(byte)
              }))
            })
          ),
          ({ assignment, errorCode }) => ({ errorCode, assignment: [...assignment] })
        ),
      heartbeat: (generationId) =>
        Effect.map(
          Effect.suspend(() => connection.request("Heartbeat", { groupId, generationId, memberId, groupInstanceId })),
          ({ errorCode }) => errorCode
        ),
      commit: (generationId, topic, offset) =>
        Effect.map(
          Effect.suspend(() =>
            connection.request("OffsetCommit", {
              groupId,
              generationId,
              memberId,
              groupInstanceId,
              topics: [{ topic, partitions: [{ partition: 0, offset, metadata: "" }] }]
            })
          ),
          ({ topics }) => topics[0]?.partitions[0]?.errorCode ?? -1
        ),
      leave: Effect.map(
        Effect.suspend(() => connection.request("LeaveGroup", { groupId, members: [{ memberId, groupInstanceId }] })),
        ({ errorCode }) => errorCode
      )
    }
  })

export const protocolsOf = (protocols: Readonly<Record<string, number>>): JoinGroupRequest["protocols"] =>
  Object.entries(protocols).map(([name, byte]) => ({ name, metadata: Uint8Array.of(byte) }))

/** Waits until the member learns of a rebalance. */
export const hearsOfRebalance = (member: Member, generation: number): Effect.Effect<unknown, WireError> =>
  eventually(member.heartbeat(generation), (errorCode) => errorCode === KafkaErrorCode.REBALANCE_IN_PROGRESS)

/**
 * Lets the others join the members of an existing generation (none for a new group), up to the end of the join phase.
 * Returns the new generation. The first member is the leader.
 */
export const gather = (
  present: ReadonlyArray<Member>,
  generation: number,
  coming: ReadonlyArray<Member>
): Effect.Effect<ReadonlyArray<JoinGroupResponse>, WireError> =>
  Effect.gen(function* () {
    const joining = yield* Effect.forEach(coming, (member) => Effect.fork(member.join))
    yield* Effect.forEach(present, (member) => hearsOfRebalance(member, generation), { discard: true })
    const rejoining = yield* Effect.forEach(present, (member) => Effect.fork(member.join))
    return yield* Fiber.join(Fiber.all([...rejoining, ...joining]))
  })

/** Forms a stable group of two; each is assigned its number: 1 for the leader, 2 for the follower. */
export const stablePair = (leader: Member, follower: Member): Effect.Effect<number, unknown> =>
  Effect.gen(function* () {
    const [alone] = yield* gather([], 0, [leader])
    yield* leader.sync(alone!.generationId, { [leader.id()]: 1 })
    const [joined] = yield* gather([leader], alone!.generationId, [follower])
    yield* syncPair(leader, follower, joined!.generationId)
    return joined!.generationId
  })

export const syncPair = (leader: Member, follower: Member, generation: number) =>
  Effect.all([leader.sync(generation, { [leader.id()]: 1, [follower.id()]: 2 }), follower.sync(generation)], {
    concurrency: "unbounded"
  })
