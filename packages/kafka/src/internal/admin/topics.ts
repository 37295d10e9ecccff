/**
 * Listing, describing, creating and deleting topics.
 */
import { show } from "@spillway/transport/runtime/Environment"
import * as Effect from "effect/Effect"
import { KafkaErrorCode as Code } from "../../KafkaErrorCode.js"
import type { TopicMetadata } from "../../Protocol.js"
import * as Arguments from "./arguments.js"
import * as Client from "./client.js"
import * as Failures from "./failures.js"
import * as PerItem from "./perItem.js"
import * as Changes from "./topicChanges.js"
import type { AdminFailure, AdminOptions, KafkaAdminError, NewTopic, TopicDescription, TopicListing } from "./types.js"

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
        subjectOf: Changes.subjectOf,
        attempt: (left) => describeNow(operation, left)
      })
      return found.map(descriptionOf)
    })

const isNoneOrExists = (errorCode: number): boolean =>
  Changes.isNone(errorCode) || errorCode === Code.TOPIC_ALREADY_EXISTS

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
    const created = Changes.change(operation, names, isFine, repeatable, (left, timeoutMs) =>
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
    yield* Changes.andThenAwait(created, names, (succeeded) =>
      Changes.awaitMetadata(operation, succeeded, Changes.unready)
    )
  })

/** A lost response may hide a creation, which a second attempt would report as an existing topic. */
export const create =
  (client: Client.Client) =>
  (topics: ReadonlyArray<NewTopic>, options?: AdminOptions): Effect.Effect<void, KafkaAdminError> =>
    createAll(client, topics, options, Changes.isNone, "unless sent")

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
      const removed = Changes.change(operation, topics, Changes.isNone, "unless sent", (left, timeoutMs) =>
        Effect.map(
          operation.cluster.requestController("DeleteTopics", { timeoutMs, topics: left }),
          (response) => response.topics
        )
      )
      yield* Changes.andThenAwait(removed, topics, (succeeded) =>
        Changes.awaitMetadata(operation, succeeded, (metadata) =>
          metadata?.errorCode === Code.UNKNOWN_TOPIC_OR_PARTITION ? undefined : "deleted, but still listed by a broker"
        )
      )
    })
