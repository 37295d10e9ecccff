/**
 * What becomes of records that can't be handled, and how to read the dead letters that they become.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type ConsumedRecord, eventIdHeader, eventIdOf } from "./Envelope.js"
import { messageOf, typeOf } from "./HandlerError.js"
import * as Headers from "./Headers.js"
import { truncate } from "./internal/truncate.js"
import { Producer, type ProducerRecord } from "./Producer.js"

/** The names of the metadata headers that can be chosen. */
export interface DeadLetterHeaderNames {
  /** Default: `x-retry-count`. */
  readonly retryCount?: string | undefined
  /** Default: `x-error-message`. */
  readonly errorMessage?: string | undefined
  /** Default: `x-failed-timestamp`. */
  readonly failedTimestamp?: string | undefined
}

export interface DeadLetterOptions {
  readonly headers?: DeadLetterHeaderNames | undefined
  /**
   * When the broker refuses a dead letter as too large even with its metadata shrunk: `"block"` goes on trying and
   * holds up the partition, `"stop"` fails the consumer with `DeadLetterRejected`. Default: `"block"`.
   */
  readonly tooLarge?: "block" | "stop" | undefined
}

/** Where dead letters go, once a consumer has started. */
export type Destination =
  | {
      readonly _tag: "Topic"
      readonly producer: Producer["Type"]
      /** The dead letter topic of a source topic. */
      readonly topicOf: (sourceTopic: string) => string
      readonly headers: DeadLetterHeaderNames
      readonly tooLarge: "block" | "stop"
    }
  | { readonly _tag: "None"; readonly otherwise: "stop" | "skip" }

/** A policy needs in R what its dead letters are published with. */
export interface DeadLetterPolicy<out R> {
  readonly destination: Effect.Effect<Destination, never, R>
}

/**
 * Publishes dead letters to a topic: by default to the source topic's name with `-dlq` appended. The topic must exist
 * when the consumer starts. The source record settles when the dead letter is acknowledged, and not before.
 */
export const topic = (
  name: string | ((sourceTopic: string) => string) = (sourceTopic) => `${sourceTopic}-dlq`,
  options: DeadLetterOptions = {}
): DeadLetterPolicy<Producer> => ({
  destination: Effect.map(Producer, (producer) => ({
    _tag: "Topic",
    producer,
    topicOf: typeof name === "string" ? () => name : name,
    headers: options.headers ?? {},
    tooLarge: options.tooLarge ?? "block"
  }))
})

/**
 * No dead letters: a record that can't be handled either fails the consumer with `HandlingFailed`, and stays
 * uncommitted (`"stop"`), or is logged, counted and given up (`"skip"`).
 */
export const none = (otherwise: "stop" | "skip"): DeadLetterPolicy<never> => ({
  destination: Effect.succeed({ _tag: "None", otherwise })
})

/** What a dead letter tells about the failure, as far as its headers have it. */
export interface DeadLetterMetadata {
  readonly eventId: string
  /** Retries after the first attempt. */
  readonly retryCount: number | undefined
  readonly errorMessage: string | undefined
  /** The error's `_tag` or class name. */
  readonly errorType: string | undefined
  /** When the record was given up, in milliseconds since the epoch. */
  readonly failedAt: number | undefined
  /** Where the record was read from. */
  readonly topic: string | undefined
  readonly partition: number | undefined
  readonly offset: number | undefined
  /** The original record's, in milliseconds since the epoch. */
  readonly timestamp: number | undefined
  /** The consumer group that gave up on it. */
  readonly groupId: string | undefined
}

/** The metadata of a dead letter; `none` when the record has no such header. Give the header names that were chosen. */
export const metadata = (
  record: Pick<ConsumedRecord, "headers" | "topic" | "partition" | "offset">,
  options: Pick<DeadLetterOptions, "headers"> = {}
): Option.Option<DeadLetterMetadata> => {
  const names = allNames(options.headers ?? {})
  if (!record.headers.some(([name]) => isMetadata(names, name))) return Option.none()
  const text = (name: string): string | undefined => Option.getOrUndefined(Headers.getText(record.headers, name))
  const integer = (name: string): number | undefined => parseInteger(text(name))
  const failedAt = Date.parse(text(names.failedTimestamp) ?? "")
  return Option.some({
    eventId: eventIdOf(record),
    retryCount: integer(names.retryCount),
    errorMessage: text(names.errorMessage),
    errorType: text(names.errorType),
    failedAt: Number.isNaN(failedAt) ? undefined : failedAt,
    topic: text(names.topic),
    partition: integer(names.partition),
    offset: integer(names.offset),
    timestamp: integer(names.timestamp),
    groupId: text(names.groupId)
  })
}

/** A record that was given up. */
export interface FailedRecord {
  readonly record: ConsumedRecord
  readonly error: unknown
  /** Attempts made, the first included. */
  readonly attempts: number
  /** Milliseconds since the epoch. */
  readonly failedAt: number
  readonly groupId: string
}

export interface RecordOptions {
  readonly topic: string
  readonly partition?: number | undefined
  readonly headers?: DeadLetterHeaderNames | undefined
  /** `"minimal"` keeps what finds the original: event id, topic, partition, offset and the retry count. Default: `"full"`. */
  readonly metadata?: "full" | "minimal" | undefined
}

/**
 * The dead letter of a failed record: key, value and headers byte for byte, then the metadata. Metadata of an earlier
 * dead letter is replaced; the event id stays.
 */
export const record = (failed: FailedRecord, options: RecordOptions): ProducerRecord => {
  const { record, error } = failed
  const names = allNames(options.headers ?? {})
  const where: ReadonlyArray<readonly [string, string]> = [
    [names.retryCount, String(failed.attempts - 1)],
    [names.topic, record.topic],
    [names.partition, String(record.partition)],
    [names.offset, String(record.offset)]
  ]
  const why: ReadonlyArray<readonly [string, string]> = [
    [names.errorMessage, truncate(messageOf(error), 1024)],
    [names.errorType, truncate(typeOf(error), 1024)],
    [names.failedTimestamp, new Date(failed.failedAt).toISOString()],
    [names.timestamp, String(record.timestamp)],
    [names.groupId, failed.groupId]
  ]
  const eventId = eventIdOf(record)
  const kept = record.headers.filter(([name]) => !isMetadata(names, name))
  const identified =
    Option.getOrUndefined(Headers.getText(kept, eventIdHeader)) === eventId
      ? kept
      : Headers.set(kept, eventIdHeader, eventId)
  return {
    topic: options.topic,
    partition: options.partition,
    key: record.key,
    value: record.value,
    headers: [...identified, ...Headers.make(options.metadata === "minimal" ? where : [...where, ...why])]
  }
}

interface AllNames extends Required<{ readonly [K in keyof DeadLetterHeaderNames]: string }> {
  readonly errorType: string
  readonly topic: string
  readonly partition: string
  readonly offset: string
  readonly timestamp: string
  readonly groupId: string
}

const allNames = (names: DeadLetterHeaderNames): AllNames => ({
  retryCount: names.retryCount ?? "x-retry-count",
  errorMessage: names.errorMessage ?? "x-error-message",
  failedTimestamp: names.failedTimestamp ?? "x-failed-timestamp",
  errorType: "x-error-type",
  topic: "x-original-topic",
  partition: "x-original-partition",
  offset: "x-original-offset",
  timestamp: "x-original-timestamp",
  groupId: "x-original-group"
})

const isMetadata = (names: AllNames, name: string): boolean => Object.values(names).includes(name)

const parseInteger = (text: string | undefined): number | undefined => {
  if (text === undefined || !/^-?\d+$/.test(text)) return undefined
  const value = Number(text)
  return Number.isSafeInteger(value) ? value : undefined
}
