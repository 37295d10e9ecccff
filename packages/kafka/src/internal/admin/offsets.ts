/**
 * The offsets of partitions at positions.
 */
import type { TopicPartition } from "@spillway/transport/Consumer"
import type { Position } from "@spillway/transport/Position"
import * as Effect from "effect/Effect"
import { earliestTimestamp, type IsolationLevel, latestTimestamp } from "../../Protocol.js"
import { keyOf, placeOf } from "../topicPartition.js"
import * as Arguments from "./arguments.js"
import * as Client from "./client.js"
import * as Failures from "./failures.js"
import * as Leaders from "./leaders.js"
import * as PerItem from "./perItem.js"
import type { AdminFailure, KafkaAdminError, ListOffsetsOptions, PartitionOffset } from "./types.js"

/** A partition and a position in it. */
export interface Target extends TopicPartition {
  readonly position: Position
}

/** The offset of each partition at its timestamp; -1 if no record is that late. */
const lookUp = (
  operation: Client.Operation,
  partitions: ReadonlyArray<TopicPartition>,
  timestampOf: (index: number) => number,
  isolationLevel: IsolationLevel
): Effect.Effect<ReadonlyArray<number>, KafkaAdminError> =>
  PerItem.run(operation, {
    items: partitions.map((place, index) => ({ ...placeOf(place), timestamp: timestampOf(index) })),
    subjectOf: placeOf,
    attempt: (left) =>
      Leaders.ask(
        operation,
        left,
        (nodeId, asked) =>
          Effect.map(
            operation.cluster.request(nodeId, "data", "ListOffsets", {
              isolationLevel,
              topics: Leaders.nest(asked, ({ partition, timestamp }) => ({ partition, timestamp }))
            }),
            ({ topics }) => Leaders.flatten(topics)
          ),
        ({ offset }) => offset
      )
  })

/** The end of each partition's log. */
export const ends = (
  operation: Client.Operation,
  partitions: ReadonlyArray<TopicPartition>,
  isolationLevel: IsolationLevel
): Effect.Effect<ReadonlyArray<number>, KafkaAdminError> =>
  lookUp(operation, partitions, () => latestTimestamp, isolationLevel)

const timestampOf = (position: Position): number => {
  switch (position._tag) {
    case "Beginning":
      return earliestTimestamp
    case "Timestamp":
      return position.timestamp
    default:
      return latestTimestamp
  }
}

/** The offset of each target. An offset that the log doesn't hold fails: no broker checks it later. */
export const resolve = Effect.fnUntraced(function* (
  operation: Client.Operation,
  targets: ReadonlyArray<Target>,
  isolationLevel: IsolationLevel
): Effect.fn.Return<ReadonlyArray<PartitionOffset>, KafkaAdminError> {
  const found = yield* lookUp(
    operation,
    targets,
    (index) => {
      const { position } = targets[index]!
      return position._tag === "Offset" ? earliestTimestamp : timestampOf(position)
    },
    isolationLevel
  )
  // Of given offsets the start was looked up; they, and timestamps after the last record, need the end too.
  const withEnd = targets.flatMap((target, index) =>
    target.position._tag === "Offset" || found[index] === -1 ? [{ ...target, found: found[index]! }] : []
  )
  const isGiven = ({ position }: Target) => position._tag === "Offset"
  const given = withEnd.filter(isGiven)
  const late = withEnd.filter((target) => !isGiven(target))
  const highWatermarks = yield* ends(operation, given, "read_uncommitted")
  const lateEnds = yield* ends(operation, late, isolationLevel)
  const outside = given.flatMap(({ found: start, position, ...place }, index): ReadonlyArray<AdminFailure> => {
    const offset = position._tag === "Offset" ? position.offset : -1
    const end = highWatermarks[index]!
    if (offset >= start && offset <= end) return []
    const description = `offset ${offset} is not in the log, which starts at ${start} and ends at ${end}`
    return [{ reason: "OffsetOutOfRange", ...placeOf(place), description }]
  })
  if (outside.length > 0) return yield* Failures.errorOf(outside)
  const endOf = new Map(late.map((place, index) => [keyOf(place), lateEnds[index]!]))
  return targets.map((target, index) => ({
    ...placeOf(target),
    offset: target.position._tag === "Offset" ? target.position.offset : (endOf.get(keyOf(target)) ?? found[index]!)
  }))
})

export const list =
  (client: Client.Client) =>
  (
    partitions: ReadonlyArray<TopicPartition>,
    position: Position,
    options?: ListOffsetsOptions
  ): Effect.Effect<ReadonlyArray<PartitionOffset>, KafkaAdminError> =>
    Effect.gen(function* () {
      const problems = [
        ...Arguments.partitions("partitions", partitions),
        ...Arguments.position("position", position),
        ...Arguments.isolationLevel(options?.isolationLevel)
      ]
      const operation = yield* Client.start(client, options, problems)
      const targets = partitions.map((place) => ({ ...placeOf(place), position }))
      return yield* resolve(operation, targets, options?.isolationLevel ?? "read_committed")
    })
