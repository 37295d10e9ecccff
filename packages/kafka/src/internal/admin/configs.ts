/**
 * Describing and changing topics' settings.
 */
import { show } from "@spillway/transport/runtime/Environment"
import * as Effect from "effect/Effect"
import { KafkaErrorCode as Code } from "../../KafkaErrorCode.js"
import type { ConfigEntry } from "../../Protocol.js"
import * as Arguments from "./arguments.js"
import * as Client from "./client.js"
import * as Failures from "./failures.js"
import * as PerItem from "./perItem.js"
import * as Changes from "./topicChanges.js"
import type {
  AdminFailure,
  AdminOptions,
  ConfigChanges,
  ConfigSource,
  KafkaAdminError,
  TopicConfig,
  TopicConfigs
} from "./types.js"

/** By Kafka's number. */
const sources: ReadonlyArray<ConfigSource> = ["other", "topic", "broker", "cluster", "file", "default"]

const configOf = ({ isReadOnly, isSensitive, source, value }: ConfigEntry): TopicConfig => ({
  value,
  source: sources[source] ?? "other",
  isDefault: sources[source] === "default",
  isSensitive,
  isReadOnly
})

export const describe =
  (client: Client.Client) =>
  (
    topics: ReadonlyArray<string>,
    options?: AdminOptions
  ): Effect.Effect<ReadonlyArray<TopicConfigs>, KafkaAdminError> =>
    Effect.gen(function* () {
      const problems = [...Arguments.names("topics", topics), ...Arguments.distinct("topics", topics)]
      const operation = yield* Client.start(client, options, problems)
      return yield* PerItem.run(operation, {
        items: topics,
        subjectOf: Changes.subjectOf,
        attempt: (left) =>
          Effect.match(operation.cluster.requestAny("data", "DescribeConfigs", { topics: left }), {
            onFailure: (error) => PerItem.all(left, (topic) => Failures.ofError({ topic }, error)),
            onSuccess: (response) =>
              PerItem.match(
                left,
                (topic) => topic,
                response.topics.map((answer) => [answer.topic, answer]),
                ({ configs, errorCode, errorMessage }, topic): Failures.Outcome<TopicConfigs> =>
                  errorCode === Code.NONE
                    ? Failures.done({
                        topic,
                        configs: Object.fromEntries(configs.map((entry) => [entry.name, configOf(entry)]))
                      })
                    : Failures.ofCode({ topic }, errorCode, errorMessage)
              )
          })
      })
    })

const unusable = ({ remove = [], set = {}, topic }: ConfigChanges): Array<AdminFailure> => [
  ...Object.entries(set)
    .filter(([, value]) => typeof value !== "string")
    .map(([name, value]) => Failures.invalid(`set.${name}`, `must be text, not ${show(value)}`, { topic })),
  ...Array.from(new Set(remove))
    .filter((name) => Object.hasOwn(set, name))
    .map((name) => Failures.invalid(`remove.${name}`, "must not be set too", { topic }))
]

export const alter =
  (client: Client.Client) =>
  (changes: ReadonlyArray<ConfigChanges>, options?: AdminOptions): Effect.Effect<void, KafkaAdminError> =>
    Effect.gen(function* () {
      const names = changes.map(({ topic }) => topic)
      const problems = [
        ...Arguments.names("changes", names),
        ...Arguments.distinct("changes", names),
        ...changes.flatMap(unusable)
      ]
      const operation = yield* Client.start(client, options, problems)
      const byName = new Map(changes.map((change) => [change.topic, change]))
      yield* Changes.change(operation, names, Changes.isNone, "always", (left) =>
        Effect.map(
          operation.cluster.requestController("IncrementalAlterConfigs", {
            topics: left.map((topic) => {
              const { remove = [], set = {} } = byName.get(topic)!
              return {
                topic,
                configs: [
                  ...Object.entries(set).map(([name, value]) => ({ name, operation: "set" as const, value })),
                  ...Array.from(new Set(remove), (name) => ({ name, operation: "delete" as const, value: null }))
                ]
              }
            })
          }),
          (response) => response.topics
        )
      )
    })
