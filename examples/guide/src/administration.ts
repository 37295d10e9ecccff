import { KafkaAdmin } from "@spillway/kafka"
import { Position } from "@spillway/transport"
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

// #region groups
/** The groups of consumers that are behind, and by how much. */
export const behind = Effect.gen(function* () {
  const admin = yield* KafkaAdmin.KafkaAdmin
  const groups = yield* admin.listGroups()
  const lags = yield* Effect.forEach(groups, ({ groupId }) =>
    Effect.map(admin.groupLag(groupId), (partitions) => ({
      groupId,
      lag: partitions.reduce((sum, { lag = 0 }) => sum + lag, 0)
    }))
  )
  return lags.filter(({ lag }) => lag > 0)
})

/** Lets a group that is stopped handle the records since a time again. */
export const replay = (groupId: string, topic: string, since: Date) =>
  Effect.gen(function* () {
    const admin = yield* KafkaAdmin.KafkaAdmin
    const [described] = yield* admin.describeTopics([topic])
    return yield* admin.resetOffsets(
      groupId,
      described!.partitions.map(({ partition }) => ({ topic, partition, to: Position.timestamp(since) }))
    )
  })
// #endregion
