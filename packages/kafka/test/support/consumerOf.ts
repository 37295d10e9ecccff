/**
 * Shared by the tests of bad input.
 */
import * as Codec from "@spillway/transport/Codec"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import type { Envelope } from "@spillway/transport/Envelope"
import * as HandlerError from "@spillway/transport/HandlerError"
import * as RetryPolicy from "@spillway/transport/RetryPolicy"
import * as Effect from "effect/Effect"
import { uniqueName } from "../../../../scripts/kafka/testing.js"
import * as Fixture from "./fixture.js"

/** Options of a consumer in its own group that records handled values and rejects values that start with "bad". */
export const consumerOf = (...topics: ReadonlyArray<string>) => {
  const handled = Fixture.tally()
  const values: Array<string> = []
  const groupId = uniqueName("group")
  const options = {
    groupId,
    topics,
    value: Codec.text,
    handler: (envelope: Envelope<string>) =>
      envelope.value.startsWith("bad")
        ? HandlerError.nonRetryable(new Error(envelope.value.slice(0, 2_000)))
        : Effect.sync(() => {
            values.push(envelope.value)
            handled.add(envelope)
          }),
    retry: RetryPolicy.none,
    deadLetter: DeadLetter.none("stop"),
    commitInterval: "200 millis",
    metadataMaxAge: "1 second"
  } as const
  return { options, handled, values, groupId }
}
