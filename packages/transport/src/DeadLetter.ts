/**
 * Policies for records that can't be handled, and reading the dead letters they become.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type ConsumedRecord, eventIdOf } from "./Envelope.js"
import * as Layouts from "./internal/deadLetterHeaders.js"
import { Producer } from "./Producer.js"

/**
 * The header convention for the metadata:
 *
 * | preset | headers |
 * |---|---|
 * | `spillway` | `x-retry-count`, `x-error-message`, `x-error-type`, `x-failed-timestamp`, `x-original-topic`, `-partition`, `-offset`, `-timestamp`, `-group`: UTF-8 |
 * | `spring` | Spring for Apache Kafka's `kafka_dlt-original-*` and `kafka_dlt-exception-*`: partition as a 4-byte, offset and timestamp as 8-byte big-endian integers, the rest UTF-8 |
 * | `connect` | Kafka Connect's `__connect.errors.*`: UTF-8, the group as `connector.name` |
 *
 * Fields without a header in the other presets keep Spillway's: retry count and time of failure, for Connect the
 * timestamp too.
 */
export type DeadLetterPreset = "spillway" | "spring" | "connect"

/** Names of single headers; the others are the preset's. The defaults below are those of the preset `spillway`. */
export interface DeadLetterHeaderNames {
  /** The convention of the headers without a name here. Default: `"spillway"`. */
  readonly preset?: DeadLetterPreset | undefined
  /** The header of the number of retries after the first attempt. Default: `x-retry-count`. */
  readonly retryCount?: string | undefined
  /** The header of the error's message, up to 1,024 characters. Default: `x-error-message`. */
  readonly errorMessage?: string | undefined
  /** The header of the error's `_tag` or class name. Default: `x-error-type`. */
  readonly errorType?: string | undefined
  /** The first 4,096 characters of the error's stack. Preset `spillway` writes it only if a name is given here. */
  readonly errorStack?: string | undefined
  /** The header of the time at which handling failed permanently. Default: `x-failed-timestamp`. */
  readonly failedTimestamp?: string | undefined
  /** The header of the source topic. Default: `x-original-topic`. */
  readonly topic?: string | undefined
  /** The header of the source partition. Default: `x-original-partition`. */
  readonly partition?: string | undefined
  /** The header of the source offset. Default: `x-original-offset`. */
  readonly offset?: string | undefined
  /** The header of the source record's timestamp. Default: `x-original-timestamp`. */
  readonly timestamp?: string | undefined
  /** The header of the consumer group. Default: `x-original-group`. */
  readonly groupId?: string | undefined
}

/** The headers of the metadata: a preset, or a preset with single names replaced. */
export type DeadLetterHeaders = DeadLetterPreset | DeadLetterHeaderNames

/** The options of `topic`. */
export interface DeadLetterOptions {
  /** The headers of the metadata. Default: `"spillway"`. */
  readonly headers?: DeadLetterHeaders | undefined
  /**
   * What to do when the broker rejects a dead letter as too large even with minimal metadata: `"block"` keeps retrying
   * and blocks the partition, `"stop"` fails the consumer with `DeadLetterRejected`. Default: `"block"`.
   */
  readonly tooLarge?: "block" | "stop" | undefined
}

/** Where dead letters go once a consumer has started. */
export type Destination =
  | {
      readonly _tag: "Topic"
      /** Publishes the dead letters. */
      readonly producer: Producer["Type"]
      /** The dead letter topic of a source topic. */
      readonly topicOf: (sourceTopic: string) => string
      /** The headers of the metadata. */
      readonly headers: DeadLetterHeaders
      /** The reaction to a dead letter that the broker rejects as too large; see `DeadLetterOptions`. */
      readonly tooLarge: "block" | "stop"
    }
  | {
      readonly _tag: "None"
      /** Whether the consumer stops at the record or discards it; see `none`. */
      readonly otherwise: "stop" | "skip"
    }

/** R is the service that publishes the dead letters. */
export interface DeadLetterPolicy<out R> {
  /** Run once, when the consumer starts. */
  readonly destination: Effect.Effect<Destination, never, R>
}

/**
 * Publishes dead letters to a topic: by default the source topic's name with `-dlq` appended. The topic must exist when
 * the consumer starts. The source record settles only when the dead letter is acknowledged.
 */
export const topic = (
  name: string | ((sourceTopic: string) => string) = (sourceTopic) => `${sourceTopic}-dlq`,
  options: DeadLetterOptions = {}
): DeadLetterPolicy<Producer> => ({
  destination: Effect.map(Producer, (producer) => ({
    _tag: "Topic",
    producer,
    topicOf: typeof name === "string" ? () => name : name,
    headers: options.headers ?? "spillway",
    tooLarge: options.tooLarge ?? "block"
  }))
})

/**
 * No dead letters: a record that can't be handled either fails the consumer with `HandlingFailed` and stays uncommitted
 * (`"stop"`), or is logged, counted and discarded (`"skip"`).
 */
export const none = (otherwise: "stop" | "skip"): DeadLetterPolicy<never> => ({
  destination: Effect.succeed({ _tag: "None", otherwise })
})

/** The failure that a dead letter describes, as far as its headers contain it. */
export interface DeadLetterMetadata {
  /** The event id of the original record, see `Envelope.eventIdOf`. */
  readonly eventId: string
  /** Retries after the first attempt. */
  readonly retryCount: number | undefined
  /** The error's message. */
  readonly errorMessage: string | undefined
  /** The error's `_tag` or class name; for a Spring wrapper, its cause's. */
  readonly errorType: string | undefined
  /** The error's stack. */
  readonly errorStack: string | undefined
  /** When handling failed permanently, in milliseconds since the epoch. */
  readonly failedAt: number | undefined
  /** The topic that the record was read from. */
  readonly topic: string | undefined
  /** The partition that the record was read from. */
  readonly partition: number | undefined
  /** The record's offset in that partition. */
  readonly offset: number | undefined
  /** The original record's timestamp, in milliseconds since the epoch. */
  readonly timestamp: number | undefined
  /** The consumer group that dead-lettered the record; for Kafka Connect, the connector. */
  readonly groupId: string | undefined
}

/**
 * Reads the metadata of a dead letter in any preset, including Spring's retry topics and Kafka Connect. If several are
 * present, the one written last counts. `none` if the record has no such header. Pass the header names if they were
 * customized.
 */
export const metadata = (
  record: Pick<ConsumedRecord, "headers" | "topic" | "partition" | "offset">,
  options: Pick<DeadLetterOptions, "headers"> = {}
): Option.Option<DeadLetterMetadata> => {
  const own = Layouts.chosenLayout(options.headers)
  return Option.map(Layouts.detect(record.headers, own.preset, own.layout), (layout) => {
    const { causeType, errorType, failedTimestamp, ...values } = Layouts.read(record.headers, layout)
    return { ...values, eventId: eventIdOf(record), errorType: causeType ?? errorType, failedAt: failedTimestamp }
  })
}
