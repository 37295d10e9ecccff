/**
 * Writes dead letters. For Spillway's own runtimes; unstable.
 */
import * as Option from "effect/Option"
import type { DeadLetterHeaders } from "../DeadLetter.js"
import { type ConsumedRecord, eventIdHeader, eventIdOf } from "../Envelope.js"
import { messageOf, stackOf, typeOf } from "../HandlerError.js"
import * as Headers from "../Headers.js"
import * as Layouts from "../internal/deadLetterHeaders.js"
import { truncate } from "../internal/truncate.js"
import type { ProducerRecord } from "../Producer.js"
import type { Issue } from "./Environment.js"

/** A record whose handling failed permanently. */
export interface FailedRecord {
  /** The record as read. */
  readonly record: ConsumedRecord
  /** The error of the last attempt: any value. */
  readonly error: unknown
  /** Attempts, including the first. */
  readonly attempts: number
  /** When handling failed permanently, in milliseconds since the epoch. */
  readonly failedAt: number
  /** The group of the consumer that handled it. */
  readonly groupId: string
}

/** The options of `record`. */
export interface RecordOptions {
  /** The dead letter topic. */
  readonly topic: string
  /** The partition to write to. Default: the producer chooses it by the key. */
  readonly partition?: number | undefined
  /** The headers of the metadata. Default: `"spillway"`. */
  readonly headers?: DeadLetterHeaders | undefined
  /**
   * `"minimal"` keeps only the fields that identify the original: event id, topic, partition, offset and the retry
   * count. Default: `"full"`.
   */
  readonly metadata?: "full" | "minimal" | undefined
}

/**
 * Builds the dead letter of a failed record: key, value and headers byte for byte, then the metadata. It replaces the
 * metadata of an earlier dead letter, from any system; the event id stays.
 */
export const record = (failed: FailedRecord, options: RecordOptions): ProducerRecord => {
  const { record, error } = failed
  const { layout } = Layouts.chosenLayout(options.headers)
  const where: Layouts.Given = {
    retryCount: failed.attempts - 1,
    topic: record.topic,
    partition: record.partition,
    offset: record.offset
  }
  const why = (): Layouts.Given => ({
    errorMessage: truncate(messageOf(error), 1024),
    errorType: truncate(typeOf(error), 1024),
    errorStack: layout.errorStack && truncate(stackOf(error), 4096),
    failedTimestamp: failed.failedAt,
    timestamp: record.timestamp,
    groupId: failed.groupId
  })
  const eventId = eventIdOf(record)
  const kept = Layouts.strip(record.headers, layout)
  const identified =
    Option.getOrUndefined(Headers.getText(kept, eventIdHeader)) === eventId
      ? kept
      : Headers.set(kept, eventIdHeader, eventId)
  const values = options.metadata === "minimal" ? where : { ...where, ...why() }
  return {
    topic: options.topic,
    partition: options.partition,
    key: record.key,
    value: record.value,
    headers: [...identified, ...Layouts.write(values, layout)]
  }
}

/** The problems with the chosen headers: an unknown preset, an empty name, or one name for two fields. */
export const checkHeaders = (headers: DeadLetterHeaders): ReadonlyArray<Issue> => {
  const { names, preset } = Layouts.chosen(headers)
  return Layouts.check(preset, names)
}
