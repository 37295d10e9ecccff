/**
 * CloudEvents 1.0 as Kafka records, following the CloudEvents Kafka binding. Writes binary mode (attributes in `ce_`
 * headers, data in the value); reads binary mode and structured mode (everything in a JSON value).
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

/** An event: its context attributes and its data. */
export interface CloudEvent {
  /** The context attributes, such as id, type and source. */
  readonly attributes: CloudEventAttributes
  /** The data's bytes; null when the event has no data. */
  readonly data: Uint8Array | null
}

/**
 * A record that is not a CloudEvent, or an event that can't be written as one. `attribute` is the invalid one, if any.
 * Contains no attribute values and no data.
 */
export class CloudEventError extends Data.TaggedError("CloudEventError")<{
  /** The kind of problem. */
  readonly reason: CloudEventErrorReason
  /** The name of the invalid attribute; `undefined` if the problem is not in one attribute. */
  readonly attribute?: string | undefined
  /** The rule that is broken. */
  readonly description: string
}> {
  override get message(): string {
    return `${this.reason}: ${this.attribute === undefined ? "" : `${this.attribute}: `}${this.description}`
  }
}

/** Returns the headers and value of an event in binary mode. Fails on an attribute that CloudEvents forbids. */
export const toRecord = (
  event: CloudEvent
): Either.Either<Pick<ConsumedRecord, "headers" | "value">, CloudEventError> => {
  const invalid = Attributes.firstInvalid(event.attributes)
  return invalid === undefined
    ? Either.right({ headers: Headers.make(Attributes.toHeaders(event.attributes)), value: event.data })
    : Either.left(new CloudEventError({ reason: "InvalidAttribute", ...invalid }))
}

/**
 * Reads the event of a record: in structured mode if the `content-type` header is `application/cloudevents+json`,
 * otherwise in binary mode. Ignores headers and members that are not valid attribute names, and empty optional
 * attributes.
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
