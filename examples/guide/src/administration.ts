import { KafkaAdmin } from "@spillway/kafka"
import { Effect } from "effect"

// #region start
/** Provide it to the Layers that use the topics: they start once the topics exist. */
export const Topics = KafkaAdmin.ensureTopics([
  { topic: "payments", partitions: 12, configs: { "retention.ms": String(7 * 24 * 60 * 60 * 1000) } },
  { topic: "payments-dlq", partitions: 3 }
])
// #endregion

// #region leaderless
export const leaderless = Effect.gen(function* () {
  const admin = yield* KafkaAdmin.KafkaAdmin
  const topics = yield* admin.listTopics()
  const names = topics.filter(({ isInternal }) => !isInternal).map(({ topic }) => topic)
  const described = yield* admin.describeTopics(names, { timeout: "10 seconds" })
  return described.filter(({ partitions }) => partitions.some(({ leader }) => leader === undefined))
})
// #endregion

// #region failures
export const clean = (topics: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const admin = yield* KafkaAdmin.KafkaAdmin
    yield* admin.deleteTopics(topics)
  }).pipe(
    Effect.catchIf(
      ({ failures }) => failures.every(({ reason }) => reason === "UnknownTopic"),
      () => Effect.log("Some topics were deleted before")
    )
  )
// #endregion
