import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { type ConsumedRecord, eventIdOf } from "../Envelope.js"

/** Annotates log lines with the record they are about, never with its content. */
export const annotateRecord =
  (record: ConsumedRecord, groupId: string, attempt: number) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.annotateLogs(effect, {
      topic: record.topic,
      partition: record.partition,
      offset: record.offset,
      eventId: eventIdOf(record),
      groupId,
      attempt
    })

/** Lets the first effect pass and drops the others until the interval is over. */
export const atMostEvery = (
  interval: Duration.DurationInput
): ((effect: Effect.Effect<void>) => Effect.Effect<void>) => {
  const millis = Duration.toMillis(interval)
  let next = Number.NEGATIVE_INFINITY
  return (effect) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      if (now < next) return Effect.void
      next = now + millis
      return effect
    })
}
