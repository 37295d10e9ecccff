/**
 * A client's view of the cluster: who leads which partition, which broker coordinates a group, and one connection for
 * each broker and role. It retries nothing: callers decide what a failure means to them.
 */
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import { KafkaErrorCode, nameOf } from "../../KafkaErrorCode.js"
import type { Api, BrokerEndpoint, PartitionMetadata, Request, Response, TopicMetadata } from "../../Protocol.js"
import { type Connection, type Endpoint, type Role, Wire, WireError } from "../../Wire.js"
import * as Result from "../concurrency/completion.js"
import * as Retries from "../concurrency/retries.js"
import * as Signal from "../concurrency/signal.js"

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

const closedError = ({ host, port }: Endpoint): WireError =>
  new WireError({ reason: "Disconnected", endpoint: `${host}:${port}`, description: "the client was closed" })

export interface Cluster {
  /** Sends a request to a broker by its node id, connecting first if need be. */
  readonly request: <A extends Api>(
    nodeId: number,
    role: Role,
    api: A,
    request: Request<A>
  ) => Effect.Effect<Response<A>, WireError>
  /** Sends a request to any broker that can be reached. */
  readonly requestAny: <A extends Api>(role: Role, api: A, request: Request<A>) => Effect.Effect<Response<A>, WireError>
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
  /** Drops what is known of a topic, so that the next refresh is believed whatever its leader epochs are. */
  readonly forgetTopic: (topic: string) => void
  /** The node id of the coordinator of a group, or of a transactional id; remembered until forgotten. */
  readonly coordinator: (key: string, keyType?: KeyType) => Effect.Effect<number, WireError | ResponseError>
  readonly forgetCoordinator: (key: string, keyType?: KeyType) => void
  /** Notified after each refresh: leaders may have changed. */
  readonly refreshed: Signal.Signal
  readonly reachability: () => Reachability
  /** What this client repeats until it succeeds. */
  readonly retries: Retries.Retries
}

/** `annotations`: what log lines about its retries have. */
export const makeFor = Effect.fnUntraced(function* (
  annotations: Readonly<Record<string, unknown>>
): Effect.fn.Return<Cluster, never, Wire | Scope.Scope> {
  const wire = yield* Wire
  const retries = yield* Retries.make(annotations)
  const scope = yield* Effect.scope
  const nodes = new Map<number, BrokerEndpoint>()
  const topics = new Map<string, TopicMetadata>()
  /** The ids of topics, those that were deleted too, by name; the last is that of now. */
  const topicIds = new Map<string, Set<string>>()
  const refreshed = Signal.make()
  const coordinators = new Map<string, number>()
  const connections = new Map<string, Result.Result<Connection, WireError>>()
  const unreachable = new Set<string>()
  let hasAnswered = false
  /** The connections that have answered a request. */
  const answered = new WeakSet<Connection>()
  let controllerId = -1

  /** One line when a broker stops answering and one when it answers again, however often it is tried between. */
  const logUnreachable = (endpoint: Endpoint, cause: Cause.Cause<WireError>) =>
    Effect.suspend(() => {
      const broker = `${endpoint.host}:${endpoint.port}`
      if (unreachable.has(broker)) return Effect.void
      unreachable.add(broker)
      return Effect.annotateLogs(Effect.logWarning("The broker can't be reached, trying on", cause), { broker })
    })

  const logAnswered = (endpoint: Endpoint, connection: Connection) =>
    Effect.suspend(() => {
      answered.add(connection)
      hasAnswered = true
      const broker = `${endpoint.host}:${endpoint.port}`
      return unreachable.delete(broker)
        ? Effect.annotateLogs(Effect.logInfo("The broker can be reached again"), { broker })
        : Effect.void
    })

  const open = (key: string, endpoint: Endpoint, role: Role, opened: Result.Result<Connection, WireError>) =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(wire.connect(endpoint, role))
      if (Exit.isSuccess(exit)) {
        opened.done(exit)
        const end = yield* exit.value.closed
        // A broker that wants SASL lets those without it connect, and closes on whatever they ask.
        if (!answered.has(exit.value)) yield* logUnreachable(endpoint, Cause.fail(end))
      } else {
        yield* logUnreachable(endpoint, exit.cause)
      }
      if (connections.get(key) === opened) connections.delete(key)
      opened.done(exit)
    }).pipe(Effect.scoped)

  const connection = (endpoint: Endpoint, role: Role): Effect.Effect<Connection, WireError> =>
    Effect.suspend(() => {
      const key = `${endpoint.host}:${endpoint.port}/${role}`
      const known = connections.get(key)
      if (known !== undefined) return known.wait
      const opened = Result.make<Connection, WireError>()
      connections.set(key, opened)
      // Opened in the cluster's scope: a caller that is interrupted leaves the connection to the others.
      return Effect.flatMap(Effect.forkIn(Effect.interruptible(open(key, endpoint, role, opened)), scope), (fiber) => {
        // Interrupted, perhaps before it had begun: those who wait learn of it.
        fiber.addObserver(() => opened.done(Effect.suspend(() => closedError(endpoint))))
        return opened.wait
      })
    })

  const send = <A extends Api>(endpoint: Endpoint, role: Role, api: A, request: Request<A>) =>
    Effect.flatMap(connection(endpoint, role), (connection) => {
      const response = connection.request(api, request)
      return answered.has(connection) ? response : Effect.zipLeft(response, logAnswered(endpoint, connection))
    })

  const requestAny = <A extends Api>(role: Role, api: A, request: Request<A>) =>
    Effect.suspend(() => {
      const [first, ...others] = [...nodes.values(), ...wire.bootstrap]
      return others.reduce(
        (attempt, endpoint) =>
          Effect.catchAll(attempt, (failed) =>
            // That the others are away mends no credentials.
            Effect.mapError(send(endpoint, role, api, request), (error) =>
              failed.reason === "Authentication" ? failed : error
            )
          ),
        send(first!, role, api, request)
      )
    })

  const toNode = <A extends Api>(nodeId: number, role: Role, api: A, request: Request<A>) =>
    Effect.suspend(() => {
      const endpoint = nodes.get(nodeId)
      return endpoint === undefined
        ? Effect.fail(
            new WireError({ reason: "ConnectFailed", endpoint: `node ${nodeId}`, api, description: "unknown node id" })
          )
        : send(endpoint, role, api, request)
    })

  /** A broker that lags behind may tell of a topic that was deleted since. */
  const isOutdated = ({ topic, topicId }: TopicMetadata): boolean => {
    if (topicId === "") return false
    const ids = topicIds.get(topic) ?? new Set()
    if (ids.has(topicId)) return Array.from(ids).at(-1) !== topicId
    topicIds.set(topic, ids.add(topicId))
    return false
  }

  const learnTopic = (answer: TopicMetadata) => {
    if (answer.errorCode !== KafkaErrorCode.NONE) {
      if (answer.errorCode === KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION) topics.delete(answer.topic)
      return
    }
    if (isOutdated(answer)) return
    const known = topics.get(answer.topic)
    const same = known?.topicId === answer.topicId ? known.partitions : []
    const before = new Map(same.map((partition) => [partition.partition, partition]))
    topics.set(answer.topic, {
      ...answer,
      partitions: answer.partitions.map((partition) => {
        // A broker that was frozen answers with the leaders of its past: a lower epoch is stale.
        const known = before.get(partition.partition)
        return known !== undefined && known.leaderEpoch > partition.leaderEpoch ? known : partition
      })
    })
  }

  const refresh = (names: ReadonlyArray<string> | null) =>
    Effect.map(requestAny("data", "Metadata", { topics: names }), (metadata) => {
      nodes.clear()
      for (const broker of metadata.brokers) nodes.set(broker.nodeId, broker)
      controllerId = metadata.controllerId
      for (const topic of metadata.topics) learnTopic(topic)
      refreshed.notify()
      return metadata.topics.map((topic) => topics.get(topic.topic) ?? topic)
    })

  const requestController = <A extends Api>(api: A, request: Request<A>) =>
    Effect.zipRight(
      refresh([]),
      Effect.suspend(() =>
        nodes.has(controllerId) ? toNode(controllerId, "data", api, request) : requestAny("data", api, request)
      )
    )

  const coordinator = (key: string, keyType: KeyType = "group") =>
    Effect.suspend(() => {
      const known = coordinators.get(`${keyType}/${key}`)
      if (known !== undefined) return Effect.succeed(known)
      return Effect.flatMap(requestAny("group", "FindCoordinator", { key, keyType }), (answer) => {
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
    reachability: () => {
      const known = nodes.size > 0 ? Array.from(nodes.values()) : wire.bootstrap
      const brokers = known.map(({ host, port }) => `${host}:${port}`)
      return { hasAnswered, brokers, unreachable: brokers.filter((broker) => unreachable.has(broker)) }
    },
    request: toNode,
    requestAny,
    requestController,
    refresh,
    topic: (topic) => topics.get(topic),
    isRecreated: (topic) => (topicIds.get(topic)?.size ?? 0) > 1,
    leader: (topic, partition) => {
      const partitions = topics.get(topic)?.partitions
      // They usually are in order.
      const at = partitions?.[partition]
      const found =
        at?.partition === partition ? at : partitions?.find((candidate) => candidate.partition === partition)
      return found === undefined || found.leader < 0 ? undefined : found
    },
    forgetTopic: (topic) => {
      topics.delete(topic)
    },
    coordinator,
    forgetCoordinator: (key, keyType = "group") => {
      coordinators.delete(`${keyType}/${key}`)
    }
  }
})

export const make: Effect.Effect<Cluster, never, Wire | Scope.Scope> = makeFor({})
