/**
 * Creating and deleting topics.
 */
import * as Concurrency from "@spillway/transport/runtime/Concurrency"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Cluster from "./internal/cluster/cluster.js"
import * as Backoff from "./internal/concurrency/backoff.js"
import { KafkaErrorCode, nameOf } from "./KafkaErrorCode.js"
import type { TopicMetadata } from "./Protocol.js"
import type { Wire, WireError } from "./Wire.js"

export type KafkaAdminErrorReason =
  | "TopicAlreadyExists"
  | "UnknownTopic"
  | "InvalidTopic"
  | "InvalidConfiguration"
  | "Authorization"
  /** Not done within the timeout; it may still complete later. */
  | "Timeout"
  | "Broker"

export class KafkaAdminError extends Data.TaggedError("KafkaAdminError")<{
  readonly reason: KafkaAdminErrorReason
  /** The topic that failed; others may have succeeded. */
  readonly topic: string
  readonly description: string
  readonly cause?: unknown
}> {
  override get message(): string {
    return `${this.reason}: ${this.topic}: ${this.description}`
  }
}

export interface NewTopic {
  readonly topic: string
  /** Default: 1. */
  readonly partitions?: number | undefined
  /** Default: the broker's. */
  readonly replicationFactor?: number | undefined
  /** Topic settings such as `cleanup.policy`. Default: the broker's. */
  readonly configs?: Readonly<Record<string, string>> | undefined
}

export interface AdminOptions {
  /** Default: 30 seconds. */
  readonly timeout?: Duration.DurationInput | undefined
}

const reasonOf = (code: number): KafkaAdminErrorReason | "Retry" => {
  switch (code) {
    case KafkaErrorCode.TOPIC_ALREADY_EXISTS:
      return "TopicAlreadyExists"
    case KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
      return "UnknownTopic"
    case KafkaErrorCode.INVALID_TOPIC_EXCEPTION:
      return "InvalidTopic"
    case KafkaErrorCode.INVALID_PARTITIONS:
    case KafkaErrorCode.INVALID_REPLICATION_FACTOR:
    case KafkaErrorCode.INVALID_REPLICA_ASSIGNMENT:
    case KafkaErrorCode.INVALID_CONFIG:
    case KafkaErrorCode.INVALID_REQUEST:
    case KafkaErrorCode.POLICY_VIOLATION:
      return "InvalidConfiguration"
    case KafkaErrorCode.TOPIC_AUTHORIZATION_FAILED:
    case KafkaErrorCode.CLUSTER_AUTHORIZATION_FAILED:
      return "Authorization"
    case KafkaErrorCode.REQUEST_TIMED_OUT:
      return "Timeout"
    case KafkaErrorCode.NOT_CONTROLLER:
    case KafkaErrorCode.THROTTLING_QUOTA_EXCEEDED:
      return "Retry"
    default:
      return "Broker"
  }
}

interface Answer {
  readonly topic: string
  readonly errorCode: number
  readonly errorMessage?: string | null
}

const errorOf = ({ errorCode, errorMessage, topic }: Answer): KafkaAdminError => {
  const reason = reasonOf(errorCode)
  const description = errorMessage ?? `the broker answered ${nameOf(errorCode)}`
  return new KafkaAdminError({ reason: reason === "Retry" ? "Broker" : reason, topic, description })
}

/** Only a failure before anything was sent can be retried without colliding with the first attempt's success. */
const isRepeatable = ({ reason }: WireError): boolean => reason === "ConnectFailed"

const fromWire = (topic: string, cause: WireError): KafkaAdminError =>
  new KafkaAdminError({
    reason: cause.reason === "Authentication" ? "Authorization" : cause.reason === "Timeout" ? "Timeout" : "Broker",
    topic,
    description: cause.message,
    cause
  })

/** Retries the topics that the controller wasn't ready for; fails with the first other error. */
const change = (
  topics: ReadonlyArray<string>,
  isFine: (errorCode: number) => boolean,
  attempt: (topics: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<Answer>, WireError>
): Effect.Effect<void, KafkaAdminError> =>
  Effect.gen(function* () {
    const backoff = Backoff.make()
    let left = topics
    while (left.length > 0) {
      const answer = yield* Effect.either(attempt(left))
      if (answer._tag === "Right") {
        const failed = answer.right.filter(({ errorCode }) => !isFine(errorCode))
        const fatal = failed.find(({ errorCode }) => reasonOf(errorCode) !== "Retry")
        if (fatal !== undefined) return yield* errorOf(fatal)
        left = failed.map(({ topic }) => topic)
      } else if (!isRepeatable(answer.left)) return yield* fromWire(left[0]!, answer.left)
      if (left.length > 0) yield* backoff.next
    }
  })

/** Waits until a broker reports the expected state of every topic. */
const awaitMetadata = (
  cluster: Cluster.Cluster,
  topics: ReadonlyArray<string>,
  isDone: (metadata: TopicMetadata | undefined) => boolean
): Effect.Effect<void> =>
  Effect.gen(function* () {
    const backoff = Backoff.make(20, 500)
    while (true) {
      const answer = yield* Effect.either(cluster.refresh(topics))
      if (answer._tag === "Right") {
        const byName = new Map(answer.right.map((metadata) => [metadata.topic, metadata]))
        if (topics.every((topic) => isDone(byName.get(topic)))) return
      }
      yield* backoff.next
    }
  })

const run = (
  topics: ReadonlyArray<string>,
  options: AdminOptions | undefined,
  body: (cluster: Cluster.Cluster, timeoutMs: number) => Effect.Effect<void, KafkaAdminError>
): Effect.Effect<void, KafkaAdminError, Wire> => {
  const timeout = Duration.decode(options?.timeout ?? "30 seconds")
  return topics.length === 0
    ? Effect.void
    : Concurrency.timeoutFail(
        Effect.scoped(Effect.flatMap(Cluster.make, (cluster) => body(cluster, Math.ceil(Duration.toMillis(timeout))))),
        {
          duration: timeout,
          onTimeout: () =>
            new KafkaAdminError({
              reason: "Timeout",
              topic: topics[0]!,
              description: `not done within ${Duration.format(timeout)}`
            })
        }
      )
}

const create = (
  topics: ReadonlyArray<NewTopic>,
  options: AdminOptions | undefined,
  isFine: (errorCode: number) => boolean
): Effect.Effect<void, KafkaAdminError, Wire> => {
  const byName = new Map(topics.map((topic) => [topic.topic, topic]))
  const names = [...byName.keys()]
  return run(names, options, (cluster, timeoutMs) =>
    Effect.zipRight(
      change(names, isFine, (left) =>
        Effect.map(
          cluster.requestController("CreateTopics", {
            timeoutMs,
            topics: left.map((topic) => {
              const { configs = {}, partitions = 1, replicationFactor = -1 } = byName.get(topic) ?? {}
              const pairs = Object.entries(configs).map(([name, value]) => ({ name, value }))
              return { topic, partitions, replicationFactor, configs: pairs }
            })
          }),
          (response) => response.topics
        )
      ),
      awaitMetadata(
        cluster,
        names,
        (metadata) =>
          metadata?.errorCode === KafkaErrorCode.NONE &&
          metadata.partitions.length > 0 &&
          metadata.partitions.every(({ leader }) => leader >= 0)
      )
    )
  )
}

const isNone = (errorCode: number): boolean => errorCode === KafkaErrorCode.NONE

/**
 * Creates topics and waits until every partition has a leader. Fails with the first topic's error; the other topics are
 * still created.
 */
export const createTopics = (
  topics: ReadonlyArray<NewTopic>,
  options?: AdminOptions | undefined
): Effect.Effect<void, KafkaAdminError, Wire> => create(topics, options, isNone)

/** `createTopics` that leaves existing topics unchanged. */
export const ensureTopics = (
  topics: ReadonlyArray<NewTopic>,
  options?: AdminOptions | undefined
): Effect.Effect<void, KafkaAdminError, Wire> =>
  create(topics, options, (errorCode) => isNone(errorCode) || errorCode === KafkaErrorCode.TOPIC_ALREADY_EXISTS)

/**
 * Deletes topics and waits until a broker no longer knows them. Fails with the first topic's error; the other topics
 * are still deleted.
 */
export const deleteTopics = (
  topics: ReadonlyArray<string>,
  options?: AdminOptions | undefined
): Effect.Effect<void, KafkaAdminError, Wire> => {
  const names = Array.from(new Set(topics))
  return run(names, options, (cluster, timeoutMs) =>
    Effect.zipRight(
      change(names, isNone, (left) =>
        Effect.map(
          cluster.requestController("DeleteTopics", { timeoutMs, topics: left }),
          (response) => response.topics
        )
      ),
      awaitMetadata(cluster, names, (metadata) => metadata?.errorCode === KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    )
  )
}
