/**
 * Where a simulated consumer's dead letters go, and which of them are new.
 */
import * as DeadLetter from "@spillway/transport/DeadLetter"
import type { Envelope } from "@spillway/transport/Envelope"
import { Producer, ProducerError } from "@spillway/transport/Producer"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Subject } from "./subject.js"

/** Stands in where only a dead letter policy's topics are wanted. */
const nobody = Producer.of({
  send: ({ topic }) => Effect.fail(new ProducerError({ reason: "Closed", topic, description: "nobody" })),
  sendAll: () => Effect.succeed([]),
  sendAllEither: () => Effect.succeed([]),
  partitions: (topic) => Effect.fail(new ProducerError({ reason: "Closed", topic, description: "nobody" }))
})

export interface DeadLetters {
  readonly destination: DeadLetter.Destination
  readonly topics: ReadonlyArray<string>
  /** Where the letters came from that weren't among those of the times before. */
  readonly findNew: (
    letters: ReadonlyArray<Pick<Envelope<unknown>, "topic" | "partition" | "offset" | "headers">>
  ) => ReadonlyArray<{ readonly topic: string; readonly partition: number; readonly offset: number }>
}

export const make = <A, E, R, RD>({ consumer, context }: Subject<A, E, R, RD>): Effect.Effect<DeadLetters> =>
  Effect.provideService(consumer.deadLetter.destination, Producer, nobody).pipe(
    Effect.provide(context),
    (found) => found as Effect.Effect<DeadLetter.Destination>,
    Effect.map((destination): DeadLetters => {
      const isTopic = destination._tag === "Topic"
      const seen = new Set<string>()
      return {
        destination,
        topics: isTopic ? Array.from(new Set(consumer.topics.map((topic) => destination.topicOf(topic)))) : [],
        findNew: (letters) =>
          letters.flatMap((letter) => {
            const place = `${letter.topic}-${letter.partition}@${letter.offset}`
            if (seen.has(place)) return []
            seen.add(place)
            const from = DeadLetter.metadata(letter, isTopic ? { headers: destination.headers } : {})
            const { offset, partition, topic } = Option.getOrThrow(from)
            return { topic: topic!, partition: partition!, offset: offset! }
          })
      }
    })
  )
