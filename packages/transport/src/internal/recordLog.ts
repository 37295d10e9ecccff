/**
 * The log lines about one consumer's records: constant messages with annotations, without the record's content unless
 * configured, and rate-limited by kind.
 */
import type * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as LogLevel from "effect/LogLevel"
import { type ConsumedRecord, eventIdOf } from "../Envelope.js"
import { messageOf, typeOf } from "../HandlerError.js"
import { type Limit, limited, log, storm } from "../runtime/Logging.js"
import { printable } from "./renderedCause.js"

export interface Event {
  readonly record: ConsumedRecord
  readonly attempt: number
  readonly error: unknown
  /** Logged with a stack, for failures that a person must investigate. */
  readonly cause?: Cause.Cause<unknown> | undefined
  readonly more?: Readonly<Record<string, unknown>> | undefined
}

type Line = (event: Event) => Effect.Effect<void>

export interface RecordLog {
  readonly retrying: Line
  readonly policyFailed: Line
  readonly deadLettering: Line
  readonly discarding: Line
  readonly stopping: Line
  readonly deadLetterShrunk: Line
  readonly deadLetterRefused: Line
  readonly deadLetterDelayed: Line
  readonly deadLetterPublished: Line
}

/** The maximum length of an error's message, a key or a value in a line. */
const maxLength = 1024

const decoder = new TextDecoder()

const textOf = (bytes: Uint8Array | null): string | null =>
  // A character has at most 4 bytes.
  bytes === null ? null : printable(decoder.decode(bytes.subarray(0, 4 * maxLength)), maxLength)

const payload = ({ key, value }: ConsumedRecord) => ({ key: textOf(key), value: textOf(value) })

/** A blocked partition is logged repeatedly while it is blocked, since nothing else happens there. */
const heldUp: Limit = { lines: 1, every: "30 seconds" }

export const make = (groupId: string, logPayloads: boolean): RecordLog => {
  const kind = (level: LogLevel.LogLevel, message: string, limit: Limit = storm): Line => {
    const pass = limited(limit)
    return ({ attempt, cause, error, more, record }) =>
      pass(
        Effect.suspend(() =>
          log(
            level,
            message,
            {
              topic: record.topic,
              partition: record.partition,
              offset: record.offset,
              eventId: printable(eventIdOf(record), maxLength),
              groupId,
              attempt,
              errorType: printable(typeOf(error), maxLength),
              error: printable(messageOf(error), maxLength),
              ...more,
              ...(logPayloads ? payload(record) : {})
            },
            cause
          )
        )
      )
  }
  return {
    retrying: kind(LogLevel.Warning, "Handling failed; retrying"),
    policyFailed: kind(LogLevel.Error, "The retry policy failed; not retrying"),
    deadLettering: kind(LogLevel.Error, "Handling failed permanently; publishing a dead letter"),
    discarding: kind(LogLevel.Error, "Handling failed permanently; discarding the record"),
    stopping: kind(LogLevel.Error, "Handling failed permanently; stopping the consumer"),
    deadLetterShrunk: kind(LogLevel.Warning, "The dead letter is too large; publishing it with less metadata"),
    deadLetterRefused: kind(LogLevel.Error, "The dead letter is rejected; the partition is blocked", heldUp),
    deadLetterDelayed: kind(LogLevel.Warning, "The dead letter is not published yet; the partition is blocked", heldUp),
    deadLetterPublished: kind(LogLevel.Info, "The dead letter is published; the partition continues")
  }
}

/** A delay as log lines show it. */
export const delayed = (delay: Duration.Duration): Readonly<Record<string, unknown>> => ({
  delay: Duration.format(delay)
})

/** The delay of a record whose failure the circuit breaker absorbed. */
export const untilAdmitted: Readonly<Record<string, unknown>> = { delay: "until the circuit breaker admits it" }
