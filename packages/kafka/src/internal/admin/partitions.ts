/**
 * Adding partitions to topics.
 */
import * as Effect from "effect/Effect"
import * as Arguments from "./arguments.js"
import * as Client from "./client.js"
import * as Changes from "./topicChanges.js"
import type { AdminOptions, KafkaAdminError, NewPartitions } from "./types.js"

/** A lost response may hide the change, which a second attempt would report as no increase. */
export const create =
  (client: Client.Client) =>
  (topics: ReadonlyArray<NewPartitions>, options?: AdminOptions): Effect.Effect<void, KafkaAdminError> =>
    Effect.gen(function* () {
      const names = topics.map(({ topic }) => topic)
      const problems = [
        ...Arguments.names("topics", names),
        ...Arguments.distinct("topics", names),
        ...topics.flatMap(({ partitions, topic }) =>
          Arguments.integer("partitions", partitions, [1, Arguments.maxInt32], { topic })
        )
      ]
      const operation = yield* Client.start(client, options, problems)
      const counts = new Map(topics.map(({ partitions, topic }) => [topic, partitions]))
      const created = Changes.change(operation, names, Changes.isNone, "unless sent", (left, timeoutMs) =>
        Effect.map(
          operation.cluster.requestController("CreatePartitions", {
            timeoutMs,
            topics: left.map((topic) => ({ topic, count: counts.get(topic)! }))
          }),
          (response) => response.topics
        )
      )
      yield* Changes.andThenAwait(created, names, (succeeded) =>
        Changes.awaitMetadata(operation, succeeded, (metadata, topic) =>
          (metadata?.partitions.length ?? 0) < counts.get(topic)!
            ? "added, but a broker doesn't list them yet"
            : Changes.unready(metadata)
        )
      )
    })
