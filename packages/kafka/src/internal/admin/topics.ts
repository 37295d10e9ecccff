/**
 * Listing, describing, creating and deleting topics.
 */
import { show } from "@spillway/transport/Environment"
import * as Effect from "effect/Effect"
import { KafkaErrorCode as Code } from "../../KafkaErrorCode.js"
import type { TopicMetadata } from "../../Protocol.js"
import type { WireError } from "../../Wire.js"
import * as Backoff from "../concurrency/backoff.js"
import * as Arguments from "./arguments.js"
import * as Client from "./client.js"
import * as Failures from "./failures.js"
import * as PerItem from "./perItem.js"
import type { AdminFailure, AdminOptions, KafkaAdminError, NewTopic, TopicDescription, TopicListing } from "./types.js"

const subjectOf = (topic: string): Failures.Subject => ({ topic })

const listingOf = ({ isInternal, topic, topicId }: TopicMetadata): TopicListing => ({ topic, topicId, isInternal })

const descriptionOf = (metadata: TopicMetadata): TopicDescription => ({
  ...listingOf(metadata),
  partitions: metadata.partitions
    .map(({ isr = [], leader, leaderEpoch, partition, replicas = [] }) => ({
      partition,
      leader: leader < 0 ? undefined : leader,
      leaderEpoch,
      replicas,
      isr
    }))
    .sort((one, other) => one.partition - other.partition)
})

export const list =
  (client: Client.Client) =>
  (options?: AdminOptions): Effect.Effect<ReadonlyArray<TopicListing>, KafkaAdminError> =>
    Effect.gen(function* () {
      const operation = yield* Client.start(client, options, [])
      const [topics] = yield* PerItem.run(operation, {
        items: ["all topics"],
        subjectOf: () => ({}),
        attempt: (items) =>
          Effect.match(operation.cluster.requestAny("data", "Metadata", { topics: null }), {
            onFailure: (error) => PerItem.all(items, () => Failures.ofError({}, error)),
            onSuccess: ({ topics }) => items.map((item) => [item, Failures.done(topics)] as const)
          })
      })
      return topics!.map(listingOf).sort((one, other) => (one.topic < other.topic ? -1 : 1))
    })

/** The metadata of topics, with replicas. */
const describeNow = (
  { cluster }: Client.Operation,
  topics: ReadonlyArray<string>
): Effect.Effect<PerItem.Outcomes<string, TopicMetadata>> =>
  Effect.match(cluster.requestAny("data", "Metadata", { topics, withReplicas: true }), {
    onFailure: (error) => PerItem.all(topics, (topic) => Failures.ofError({ topic }, error)),
    onSuccess: (response) =>
      PerItem.match(
        topics,
        (topic) => topic,
        response.topics.map((metadata) => [metadata.topic, metadata]),
        (metadata, topic) =>
          // A topic is described while a partition has no leader.
          metadata.errorCode === Code.NONE || metadata.errorCode === Code.LEADER_NOT_AVAILABLE
            ? Failures.done(metadata)
            : Failures.ofCode({ topic }, metadata.errorCode)
      )
  })

export const describe =
  (client: Client.Client) =>
  (
    topics: ReadonlyArray<string>,
    options?: AdminOptions
  ): Effect.Effect<ReadonlyArray<TopicDescription>, KafkaAdminError> =>
    Effect.gen(function* () {
      const problems = [...Arguments.names("topics", topics), ...Arguments.distinct("topics", topics)]
      const operation = yield* Client.start(client, options, problems)
      const found = yield* PerItem.run(operation, {
        items: topics,
        subjectOf,
        attempt: (left) => describeNow(operation, left)
      })
      return found.map(descriptionOf)
    })

interface Answer {
  readonly topic: string
  readonly errorCode: number
  readonly errorMessage?: string | null | undefined
}

/** Sends a change of topics to the controller. */
const change = (
  operation: Client.Operation,
  topics: ReadonlyArray<string>,
  isFine: (errorCode: number) => boolean,
  repeatable: Failures.Repeatable,
  request: (topics: ReadonlyArray<string>, timeoutMs: number) => Effect.Effect<ReadonlyArray<Answer>, WireError>
): Effect.Effect<unknown, KafkaAdminError> =>
  PerItem.run(operation, {
    items: topics,
    subjectOf,
    attempt: (left) =>
      Effect.match(
        Effect.flatMap(operation.remainingMs, (timeoutMs) => request(left, timeoutMs)),
        {
          onFailure: (error) => PerItem.all(left, (topic) => Failures.ofError({ topic }, error, repeatable)),
          onSuccess: (answers) =>
            PerItem.match(
              left,
              (topic) => topic,
              answers.map((answer) => [answer.topic, answer]),
              ({ errorCode, errorMessage }, topic) =>
                isFine(errorCode) ? Failures.done(topic) : Failures.ofCode({ topic }, errorCode, errorMessage)
            )
        }
      )
  })

/** Waits until a broker reports the expected state of every topic. */
const awaitMetadata = (
  operation: Client.Operation,
  topics: ReadonlyArray<string>,
  missing: (metadata: TopicMetadata | undefined, topic: string) => string | undefined
): Effect.Effect<unknown, KafkaAdminError> =>
  PerItem.run(operation, {
    items: topics,
    subjectOf,
    backoff: Backoff.make(20, 500),
    attempt: (left) =>
      Effect.match(operation.cluster.refresh(left), {
        onFailure: (error) => PerItem.all(left, (topic) => Failures.ofError({ topic }, error)),
        onSuccess: (found) => {
          const byName = new Map(found.map((metadata) => [metadata.topic, metadata]))
          return left.map((topic) => {
            const description = missing(byName.get(topic), topic)
            const outcome = description === undefined ? Failures.done(topic) : Failures.later({ topic }, description)
            return [topic, outcome] as const
          })
        }
      })
  })

const isNone = (errorCode: number): boolean => errorCode === Code.NONE

const isNoneOrExists = (errorCode: number): boolean => isNone(errorCode) || errorCode === Code.TOPIC_ALREADY_EXISTS

/** Why a new topic can't be used yet. */
const unready = (metadata: TopicMetadata | undefined): string | undefined =>
  metadata?.errorCode === Code.NONE &&
  metadata.partitions.length > 0 &&
  metadata.partitions.every(({ leader }) => leader >= 0)
    ? undefined
    : "created, but a partition has no leader yet"

const unusable = ({ configs = {}, partitions = 1, replicationFactor = 1, topic }: NewTopic): Array<AdminFailure> => [
  ...Arguments.integer("partitions", partitions, [1, Arguments.maxInt32], { topic }),
  ...Arguments.integer("replicationFactor", replicationFactor, [1, Arguments.maxInt16], { topic }),
  ...Object.entries(configs)
    .filter(([, value]) => typeof value !== "string")
    .map(([name, value]) => Failures.invalid(`configs.${name}`, `must be text, not ${show(value)}`, { topic }))
]

const createAll = (
  client: Client.Client,
  topics: ReadonlyArray<NewTopic>,
  options: AdminOptions | undefined,
  isFine: (errorCode: number) => boolean,
  repeatable: Failures.Repeatable
): Effect.Effect<void, KafkaAdminError> =>
  Effect.gen(function* () {
    const names = topics.map(({ topic }) => topic)
    const problems = [
      ...Arguments.names("topics", names),
      ...Arguments.distinct("topics", names),
      ...topics.flatMap(unusable)
    ]
    const operation = yield* Client.start(client, options, problems)
    const byName = new Map(topics.map((topic) => [topic.topic, topic]))
    const created = change(operation, names, isFine, repeatable, (left, timeoutMs) =>
      Effect.map(
        operation.cluster.requestController("CreateTopics", {
          timeoutMs,
          topics: left.map((topic) => {
            const { configs = {}, partitions = 1, replicationFactor = -1 } = byName.get(topic)!
            const pairs = Object.entries(configs).map(([name, value]) => ({ name, value }))
            return { topic, partitions, replicationFactor, configs: pairs }
          })
        }),
        (response) => response.topics
      )
    )
    yield* andThenAwait(created, names, (succeeded) => awaitMetadata(operation, succeeded, unready))
  })

/** Waits for the topics that were changed, also when others failed. */
const andThenAwait = (
  changed: Effect.Effect<unknown, KafkaAdminError>,
  topics: ReadonlyArray<string>,
  wait: (succeeded: ReadonlyArray<string>) => Effect.Effect<unknown, KafkaAdminError>
): Effect.Effect<void, KafkaAdminError> =>
  Effect.matchEffect(changed, {
    onSuccess: () => Effect.asVoid(wait(topics)),
    onFailure: (error) => {
      const failed = new Set(error.failures.map(({ topic }) => topic))
      const succeeded = topics.filter((topic) => !failed.has(topic))
      return Effect.matchEffect(wait(succeeded), {
        onSuccess: () => Effect.fail(error),
        onFailure: (late) => Effect.fail(Failures.errorOf([...error.failures, ...late.failures]))
      })
    }
  })

/** A lost response may hide a creation, which a second attempt would report as an existing topic. */
export const create =
  (client: Client.Client) =>
  (topics: ReadonlyArray<NewTopic>, options?: AdminOptions): Effect.Effect<void, KafkaAdminError> =>
    createAll(client, topics, options, isNone, "unless sent")

export const ensure =
  (client: Client.Client) =>
  (topics: ReadonlyArray<NewTopic>, options?: AdminOptions): Effect.Effect<void, KafkaAdminError> =>
    createAll(client, topics, options, isNoneOrExists, "always")

export const remove =
  (client: Client.Client) =>
  (topics: ReadonlyArray<string>, options?: AdminOptions): Effect.Effect<void, KafkaAdminError> =>
    Effect.gen(function* () {
      const problems = [...Arguments.names("topics", topics), ...Arguments.distinct("topics", topics)]
      const operation = yield* Client.start(client, options, problems)
      const removed = change(operation, topics, isNone, "unless sent", (left, timeoutMs) =>
        Effect.map(
          operation.cluster.requestController("DeleteTopics", { timeoutMs, topics: left }),
          (response) => response.topics
        )
      )
      yield* andThenAwait(removed, topics, (succeeded) =>
        awaitMetadata(operation, succeeded, (metadata) =>
          metadata?.errorCode === Code.UNKNOWN_TOPIC_OR_PARTITION ? undefined : "deleted, but still listed by a broker"
        )
      )
    })
