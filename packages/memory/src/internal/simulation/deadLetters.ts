/**
 * The topics of a simulated consumer's dead letters, and the new dead letters in them.
 */

import type { TopicPartition } from "@spillway/transport/Consumer"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import type { ConsumedRecord } from "@spillway/transport/Envelope"
import { Producer, ProducerError } from "@spillway/transport/Producer"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Subject } from "./subject.js"

/** A producer for dead letter policies of which only the topics are read. */
const unused = Producer.of({
  send: ({ topic }) => Effect.fail(new ProducerError({ reason: "Closed", topic, description: "unused" })),
  sendAll: () => Effect.succeed([]),
  sendAllEither: () => Effect.succeed([]),
  partitions: (topic) => Effect.fail(new ProducerError({ reason: "Closed", topic, description: "unused" }))
})

/** The coordinates of a record. */
export interface Source extends TopicPartition {
  readonly offset: number
}

export interface DeadLetters {
  readonly destination: DeadLetter.Destination
  readonly topics: ReadonlyArray<string>
  /** The sources of the dead letters that earlier calls didn't return. */
  readonly findNew: (letters: ReadonlyArray<Source & Pick<ConsumedRecord, "headers">>) => ReadonlyArray<Source>
  /** The sources of all dead letters found. */
  readonly found: () => ReadonlyArray<Source>
}

export const make = <A, E, R, RD>({ consumer, context }: Subject<A, E, R, RD>): Effect.Effect<DeadLetters> =>
  Effect.provideService(consumer.deadLetter.destination, Producer, unused).pipe(
    Effect.provide(context),
    (found) => found as Effect.Effect<DeadLetter.Destination>,
    Effect.map((destination): DeadLetters => {
      const isTopic = destination._tag === "Topic"
      const seen = new Set<string>()
      const sources: Array<Source> = []
      const sourceOf = (letter: Source & Pick<ConsumedRecord, "headers">): Source => {
        const from = DeadLetter.metadata(letter, isTopic ? { headers: destination.headers } : {})
        const { offset, partition, topic } = Option.getOrThrow(from)
        return { topic: topic!, partition: partition!, offset: offset! }
      }
      return {
        destination,
        topics: isTopic ? Array.from(new Set(consumer.topics.map((topic) => destination.topicOf(topic)))) : [],
        findNew: (letters) => {
          const fresh = letters.filter(({ offset, partition, topic }) => {
            const place = `${topic}-${partition}@${offset}`
            return !seen.has(place) && seen.add(place)
          })
          const found = fresh.map(sourceOf)
          sources.push(...found)
          return found
        },
        found: () => sources
      }
    })
  )
