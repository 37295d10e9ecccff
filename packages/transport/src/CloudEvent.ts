/**
 * CloudEvents 1.0 as Kafka records, by the CloudEvents project's Kafka binding: written in binary mode (attributes in
 * `ce_` headers, data in the value), read in binary mode and in structured mode (all of it in a JSON value).
 */
import * as Data from "effect/Data"
import * as Either from "effect/Either"
import type { ConsumedRecord } from "./Envelope.js"
import * as Headers from "./Headers.js"
import type { CloudEventAttributes, CloudEventErrorReason } from "./internal/cloudEventAttributes.js"
import * as Attributes from "./internal/cloudEventAttributes.js"
import { isStructured } from "./internal/mediaType.js"
import * as Structured from "./internal/structuredEvent.js"

export type { CloudEventAttributes, CloudEventErrorReason }

export interface CloudEvent {
  readonly attributes: CloudEventAttributes
  /** The data's bytes; null when the event has no data. */
  readonly data: Uint8Array | null
}

/**
 * A record that is no CloudEvent, or an event that can't be written as one. `attribute` is the one at fault, if any.
 * Holds no attribute's value and nothing of the data.
 */
export class CloudEventError extends Data.TaggedError("CloudEventError")<{
  readonly reason: CloudEventErrorReason
  readonly attribute?: string | undefined
  readonly description: string
}> {
  override get message(): string {
    return `${this.reason}: ${this.attribute === undefined ? "" : `${this.attribute}: `}${this.description}`
  }
}

/** The headers and the value of an event in binary mode. Fails on an attribute that the standard doesn't allow. */
export const toRecord = (
  event: CloudEvent
): Either.Either<Pick<ConsumedRecord, "headers" | "value">, CloudEventError> => {
  const invalid = Attributes.firstInvalid(event.attributes)
  return invalid === undefined
    ? Either.right({ headers: Headers.make(Attributes.toHeaders(event.attributes)), value: event.data })
    : Either.left(new CloudEventError({ reason: "InvalidAttribute", ...invalid }))
}

/**
 * The event of a record: in structured mode when the `content-type` header says `application/cloudevents+json`, else in
 * binary mode. Headers and members that aren't attributes by their names are passed over, as is an empty optional one.
 */
export const fromRecord = (
  record: Pick<ConsumedRecord, "headers" | "value">
): Either.Either<CloudEvent, CloudEventError> => {
  const contentType = Attributes.contentTypeOf(record.headers)
  const read = isStructured(contentType)
    ? Structured.read(contentType, record.value)
    : Either.map(Attributes.fromHeaders(record.headers), (attributes) => ({ attributes, data: record.value }))
  return Either.flatMap(Either.mapLeft(read, toError), ({ attributes, data }) =>
    Either.mapBoth(Attributes.parse(attributes), { onLeft: toError, onRight: (attributes) => ({ attributes, data }) })
  )
}

const toError = (issue: Attributes.Issue): CloudEventError => new CloudEventError(issue)
