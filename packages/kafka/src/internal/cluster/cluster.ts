/**
 * A client's view of the cluster: who leads which partition, and which broker coordinates a group. It retries nothing:
 * callers decide what a failure means to them. An address may come to lead to another cluster, which a connection is
 * asked for before it is used: then all that was known is forgotten.
 */

import * as Logging from "@spillway/transport/Logging"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as LogLevel from "effect/LogLevel"
import type * as Scope from "effect/Scope"
import { KafkaErrorCode, nameOf } from "../../KafkaErrorCode.js"
import type { Api, BrokerEndpoint, PartitionMetadata, Request, Response, TopicMetadata } from "../../Protocol.js"
import { type Endpoint, type Role, Wire, WireError } from "../../Wire.js"
import * as Monotonic from "../concurrency/monotonic.js"
import * as Retries from "../concurrency/retries.js"
import * as Signal from "../concurrency/signal.js"
import * as Connections from "./connections.js"
import * as KnownTopics from "./knownTopics.js"

/** A broker answered with an error code. */
export class ResponseError extends Data.TaggedError("ResponseError")<{
  readonly api: Api
  readonly code: number
}> {
  override get message(): string {
    return `${this.api} answered ${nameOf(this.code)}`
  }
}

/** What was last seen of the cluster's brokers; `host:port`. */
export interface Reachability {
  /** Whether any broker has ever answered. */
  readonly hasAnswered: boolean
  readonly brokers: ReadonlyArray<string>
  /** Those of them that could not be reached when they were last tried. */
  readonly unreachable: ReadonlyArray<string>
}

type KeyType = Request<"FindCoordinator">["keyType"]

export interface Cluster {
  /** Sends a request to a broker by its node id, connecting first if need be; `limitMs` as of a `Connection`. */
  readonly request: <A extends Api>(
    nodeId: number,
    role: Role,
    api: A,
    request: Request<A>,
    limitMs?: number | undefined
  ) => Effect.Effect<Response<A>, WireError>
  /** Sends a request to any broker that can be reached. */
  readonly requestAny: <A extends Api>(
    role: Role,
    api: A,
    request: Request<A>,
    limitMs?: number | undefined
  ) => Effect.Effect<Response<A>, WireError>
  /** Sends a request to the cluster's controller. */
  readonly requestController: <A extends Api>(api: A, request: Request<A>) => Effect.Effect<Response<A>, WireError>
  /**
   * Asks for the metadata of topics, or of all that there are, and keeps what it learns; an unknown topic has its error
   * code.
   */
  readonly refresh: (topics: ReadonlyArray<string> | null) => Effect.Effect<ReadonlyArray<TopicMetadata>, WireError>
  /** What is known of a topic, without asking. */
  readonly topic: (topic: string) => TopicMetadata | undefined
  /** The partition's metadata if it has a leader, without asking. */
  readonly leader: (topic: string, partition: number) => PartitionMetadata | undefined
  /** Whether another topic of that name was there before. */
  readonly isRecreated: (topic: string) => boolean
  /** A leader disowned the partition: the next refresh is believed whatever its leader epoch is. */
  readonly doubt: (topic: string, partition: number) => void
  /** Drops what is known of a topic. */
  readonly forgetTopic: (topic: string) => void
  /** The node id of the coordinator of a group, or of a transactional id; remembered until forgotten. */
  readonly coordinator: (
    key: string,
    keyType?: KeyType,
    limitMs?: number | undefined
  ) => Effect.Effect<number, WireError | ResponseError>
  readonly forgetCoordinator: (key: string, keyType?: KeyType) => void
  /** Closes the connections of a role, so that its next request has a new one; what is pending fails. */
  readonly disconnect: (role: Role) => void
  /** Notified after each refresh: leaders may have changed. */
  readonly refreshed: Signal.Signal
  /** How often the client has come to another cluster; what was learned before that is of no use after it. */
  readonly moves: () => number
  /** Calls back when the brokers turn out to be another cluster's, before anything more is sent to any. */
  readonly onMove: (listener: () => void) => void
  readonly reachability: () => Reachability
  /** What this client repeats until it succeeds. */
  readonly retries: Retries.Retries
}

/** How long a new connection may take to answer what every broker answers at once, in milliseconds. */
const checkLimitMs = 5_000

const movedDescription = "the brokers are those of another cluster"

/** `annotations`: what log lines about its retries have. */
export const makeFor = Effect.fnUntraced(function* (
  annotations: Readonly<Record<string, unknown>>
): Effect.fn.Return<Cluster, never, Wire | Scope.Scope> {
  const wire = yield* Wire
  const retries = yield* Retries.make(annotations)
  const clock = yield* Effect.clock
  const nodes = new Map<number, BrokerEndpoint>()
  const topics = KnownTopics.make()
  const refreshed = Signal.make()
  const coordinators = new Map<string, number>()
  const listeners: Array<() => void> = []
  let controllerId = -1
  let clusterId: string | undefined
  let moves = 0
  /** How many brokers in turn have answered with outdated metadata: others are asked first. */
  let outdated = 0

  /** The id that a broker tells: when it differs from the one known, everything known is of no use any more. */
  const learnCluster = (found: string | null) =>
    Effect.suspend(() => {
      if (found === null || found === clusterId) return Effect.void
      const before = clusterId
      clusterId = found
      if (before === undefined) return Effect.void
      moves++
      nodes.clear()
      coordinators.clear()
      topics.clear()
      controllerId = -1
      connections.close(movedDescription)
      for (const listener of listeners) listener()
      return Logging.log(
        LogLevel.Warning,
        "The brokers are those of another cluster: what was known of the cluster before is dropped",
        { clusterId: found, clusterIdBefore: before }
      )
    }).pipe(Effect.uninterruptible)

  /** Fails when the client has come to another cluster since the number of moves was asked for. */
  const unlessMoved = (endpoint: Endpoint, before: number) =>
    Effect.suspend(() =>
      before === moves ? Effect.void : Effect.fail(Connections.disconnected(endpoint, movedDescription))
    )

  const connections: Connections.Connections = yield* Connections.make({
    wire,
    check: (endpoint, role, connection) =>
      Effect.suspend(() => {
        // The first metadata is about to be asked for, by which the cluster is learned.
        if (clusterId === undefined && role === "data") return Effect.succeed(false)
        const before = moves
        return connection.request("Metadata", { topics: [] }, checkLimitMs).pipe(
          Effect.zipLeft(unlessMoved(endpoint, before)),
          Effect.flatMap((metadata) => learnCluster(metadata.clusterId)),
          Effect.zipRight(unlessMoved(endpoint, before)),
          Effect.as(true)
        )
      })
  })

  const send = <A extends Api>(endpoint: Endpoint, role: Role, api: A, request: Request<A>, limitMs?: number) =>
    Effect.suspend(() => {
      const before = moves
      return Effect.tap(connections.send(endpoint, role, api, request, limitMs), () => unlessMoved(endpoint, before))
    })

  /** Where to ask: the cluster's brokers in turn, then those of the start. */
  const candidates = (): ReadonlyArray<Endpoint> => {
    const known = [...nodes.values()]
    const from = known.length === 0 ? 0 : outdated % known.length
    const addresses = new Set(known.map(Connections.addressOf))
    const others = wire.bootstrap.filter((endpoint) => !addresses.has(Connections.addressOf(endpoint)))
    return [...known.slice(from), ...known.slice(0, from), ...others]
  }

  const requestAny = <A extends Api>(role: Role, api: A, request: Request<A>, limitMs?: number) =>
    Effect.suspend(() => {
      const [first, ...others] = candidates()
      return others.reduce(
        (attempt, endpoint) =>
          Effect.catchAll(attempt, (failed) =>
            // That the others are away mends no credentials.
            Effect.mapError(send(endpoint, role, api, request, limitMs), (error) =>
              failed.reason === "Authentication" ? failed : error
            )
          ),
        send(first!, role, api, request, limitMs)
      )
    })

  const toNode = <A extends Api>(nodeId: number, role: Role, api: A, request: Request<A>, limitMs?: number) =>
    Effect.suspend(() => {
      const endpoint = nodes.get(nodeId)
      return endpoint === undefined
        ? Effect.fail(
            new WireError({ reason: "ConnectFailed", endpoint: `node ${nodeId}`, api, description: "unknown node id" })
          )
        : send(endpoint, role, api, request, limitMs)
    })

  const learn = (metadata: Response<"Metadata">, isComplete: boolean) => {
    nodes.clear()
    for (const broker of metadata.brokers) nodes.set(broker.nodeId, broker)
    connections.retain([...metadata.brokers, ...wire.bootstrap].map(Connections.addressOf))
    controllerId = metadata.controllerId
    const now = Monotonic.millis(clock)
    if (isComplete) topics.retain(metadata.topics)
    if (metadata.topics.filter((topic) => topics.learn(topic, now)).length > 0) outdated++
    refreshed.notify()
    return metadata.topics.map((topic) => topics.get(topic.topic) ?? topic)
  }

  const refresh = (names: ReadonlyArray<string> | null) =>
    Effect.flatMap(requestAny("data", "Metadata", { topics: names }), (metadata) =>
      Effect.map(learnCluster(metadata.clusterId), () => learn(metadata, names === null))
    )

  const requestController = <A extends Api>(api: A, request: Request<A>) =>
    Effect.zipRight(
      refresh([]),
      Effect.suspend(() =>
        nodes.has(controllerId) ? toNode(controllerId, "data", api, request) : requestAny("data", api, request)
      )
    )

  const coordinator = (key: string, keyType: KeyType = "group", limitMs?: number) =>
    Effect.suspend(() => {
      const known = coordinators.get(`${keyType}/${key}`)
      if (known !== undefined) return Effect.succeed(known)
      return Effect.flatMap(requestAny("group", "FindCoordinator", { key, keyType }, limitMs), (answer) => {
        if (answer.errorCode !== KafkaErrorCode.NONE) {
          return Effect.fail(new ResponseError({ api: "FindCoordinator", code: answer.errorCode }))
        }
        nodes.set(answer.coordinator.nodeId, answer.coordinator)
        coordinators.set(`${keyType}/${key}`, answer.coordinator.nodeId)
        return Effect.succeed(answer.coordinator.nodeId)
      })
    })

  return {
    refreshed,
    retries,
    moves: () => moves,
    onMove: (listener) => {
      listeners.push(listener)
    },
    reachability: () => {
      const brokers = (nodes.size > 0 ? Array.from(nodes.values()) : wire.bootstrap).map(Connections.addressOf)
      const hasAnswered = connections.hasAnswered()
      return { hasAnswered, brokers, unreachable: brokers.filter(connections.isUnreachable) }
    },
    request: toNode,
    requestAny,
    requestController,
    disconnect: (role) => connections.close("replaced by a new connection", role),
    refresh,
    topic: topics.get,
    isRecreated: topics.isRecreated,
    leader: (topic, partition) => {
      const partitions = topics.get(topic)?.partitions
      // They usually are in order.
      const at = partitions?.[partition]
      const found =
        at?.partition === partition ? at : partitions?.find((candidate) => candidate.partition === partition)
      return found === undefined || found.leader < 0 ? undefined : found
    },
    doubt: topics.doubt,
    forgetTopic: topics.forget,
    coordinator,
    forgetCoordinator: (key, keyType = "group") => {
      coordinators.delete(`${keyType}/${key}`)
    }
  }
})

export const make: Effect.Effect<Cluster, never, Wire | Scope.Scope> = makeFor({})
