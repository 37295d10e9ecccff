import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import * as Codec from "@spillway/transport/Codec"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import type { Envelope } from "@spillway/transport/Envelope"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { deadLetterTopic } from "./Order.js"

/** A dead letter's value may be one that could not be decoded, so it is read as bytes. */
export const handler = (letter: Envelope<Uint8Array | null>) =>
  Effect.logError("Dead letter needs attention").pipe(
    Effect.annotateLogs({ eventId: letter.eventId, ...Option.getOrUndefined(DeadLetter.metadata(letter)) })
  )

/** Logs each dead letter for an operator. A dead letter that can't be logged stays in the topic. */
export const layer = KafkaConsumer.layer({
  groupId: "attention",
  topics: [deadLetterTopic],
  value: Codec.bytes,
  handler,
  deadLetter: DeadLetter.none("stop")
})
