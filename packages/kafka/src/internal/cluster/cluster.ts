/**
 * A client's view of the cluster: each partition's leader, and each group's coordinator. It retries nothing: callers
 * decide what a failure means to them. An address may later lead to another cluster. So each connection is asked for
 * its cluster before it is used, and when the cluster has changed, everything known is dropped.
 */

import * as Logging from "@spillway/transport/runtime/Logging"
import * as Monotonic from "@spillway/transport/runtime/Monotonic"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as LogLevel from "effect/LogLevel"
import type * as Scope from "effect/Scope"
import { KafkaErrorCode, nameOf } from "../../KafkaErrorCode.js"
import type { Api, BrokerEndpoint, PartitionMetadata, Request, Response, TopicMetadata } from "../../Protocol.js"
import { type Endpoint, type Role, Wire, WireError } from "../../Wire.js"
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

/** The last known state of the cluster's brokers, each as `host:port`. */
export interface Reachability {
  /** Whether any broker has ever answered. */
  readonly hasAnswered: boolean
  readonly brokers: ReadonlyArray<string>
  /** The brokers that the last attempt couldn't reach. */
  readonly unreachable: ReadonlyArray<string>
}

type KeyType = Request<"FindCoordinator">["keyType"]

export interface Cluster {
  /** Sends a request to a broker by its node id, connecting first if needed; `limitMs` as in `Connection`. */
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
   * Requests the metadata of the given topics, or of all topics, and keeps the result. An unknown topic has its error
   * code.
   */
  readonly refresh: (topics: ReadonlyArray<string> | null) => Effect.Effect<ReadonlyArray<TopicMetadata>, WireError>
  /** The node ids of the brokers that the last metadata listed, without a request. */
  readonly nodeIds: () => ReadonlyArray<number>
  /** The known metadata of a topic, without a request. */
  readonly topic: (topic: string) => TopicMetadata | undefined
  /** The partition's metadata if it has a leader, without a request. */
  readonly leader: (topic: string, partition: number) => PartitionMetadata | undefined
  /** Whether another topic had that name before. */
  readonly isRecreated: (topic: string) => boolean
  /** A leader refused the partition: the next metadata is accepted with any leader epoch. */
  readonly doubt: (topic: string, partition: number) => void
  /** Drops the known metadata of a topic. */
  readonly forgetTopic: (topic: string) => void
  /** The node id of the coordinator of a group or of a transactional id; cached until `forgetCoordinator`. */
  readonly coordinator: (
    key: string,
    keyType?: KeyType,
    limitMs?: number | undefined
  ) => Effect.Effect<number, WireError | ResponseError>
  readonly forgetCoordinator: (key: string, keyType?: KeyType) => void
  /** Closes the connections of a role, so that its next request opens a new one; pending requests fail. */
  readonly disconnect: (role: Role) => void
  /** Notified after each refresh: leaders may have changed. */
  readonly refreshed: Signal.Signal
  /** How often the client has moved to another cluster. State from before a move is invalid after it. */
  readonly moves: () => number
  /** Calls back when the brokers belong to another cluster, before any further request is sent. */
  readonly onMove: (listener: () => void) => void
  readonly reachability: () => Reachability
  /** The operations that this client retries until they succeed. */
  readonly retries: Retries.Retries
}

/** How long a new connection waits for the response to its first Metadata request, in milliseconds. */
const checkLimitMs = 5_000

const movedDescription = "the brokers belong to another cluster"

/** `annotations`: added to log lines about retries. */
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
  /** How many brokers in a row have returned outdated metadata: the next request starts with another broker. */
  let outdated = 0

  /** The cluster id that brokers report. When it differs from the known one, everything known is dropped. */
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
        "The brokers belong to another cluster: dropping the state of the previous one",
        { clusterId: found, clusterIdBefore: before }
      )
    }).pipe(Effect.uninterruptible)

  /** Fails if the client has moved to another cluster since `moves` was read. */
  const unlessMoved = (endpoint: Endpoint, before: number) =>
    Effect.suspend(() =>
      before === moves ? Effect.void : Effect.fail(Connections.disconnected(endpoint, movedDescription))
    )

  const connections: Connections.Connections = yield* Connections.make({
    wire,
    check: (endpoint, role, connection) =>
      Effect.suspend(() => {
        // The first metadata request follows, and reports the cluster.
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

  /** Endpoints in the order to try: the cluster's brokers in turn, then the bootstrap servers. */
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
            // Keep the authentication error: unreachable other brokers don't explain it.
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
    nodeIds: () => [...nodes.keys()],
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
