/**
 * Deleting the first records of partitions.
 */
import * as Effect from "effect/Effect"
import { placeOf } from "../topicPartition.js"
import * as Arguments from "./arguments.js"
import * as Client from "./client.js"
import * as Leaders from "./leaders.js"
import * as Offsets from "./offsets.js"
import * as PerItem from "./perItem.js"
import type { AdminOptions, DeletedRecords, KafkaAdminError, RecordsToDelete } from "./types.js"

/** Positions are looked up first, so that a second attempt deletes no record that was written meanwhile. */
export const remove =
  (client: Client.Client) =>
  (
    records: ReadonlyArray<RecordsToDelete>,
    options?: AdminOptions
  ): Effect.Effect<ReadonlyArray<DeletedRecords>, KafkaAdminError> =>
    Effect.gen(function* () {
      const problems = [
        ...Arguments.partitions("records", records),
        ...records.flatMap((place) => Arguments.position("before", place.before, placeOf(place)))
      ]
      const operation = yield* Client.start(client, options, problems)
      const targets = records.map(({ before, ...place }) => ({ ...place, position: before }))
      return yield* PerItem.run(operation, {
        items: yield* Offsets.resolve(operation, targets, "read_uncommitted"),
        subjectOf: placeOf,
        attempt: (left) =>
          Leaders.ask(
            operation,
            left,
            (nodeId, asked) =>
              Effect.flatMap(operation.remainingMs, (timeoutMs) =>
                Effect.map(
                  operation.cluster.request(nodeId, "data", "DeleteRecords", {
                    timeoutMs,
                    topics: Leaders.nest(asked, ({ offset, partition }) => ({ partition, offset }))
                  }),
                  ({ topics }) => Leaders.flatten(topics)
                )
              ),
            ({ lowWatermark }, place): DeletedRecords => ({ ...placeOf(place), startOffset: lowWatermark })
          )
      })
    })
