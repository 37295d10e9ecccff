/**
 * Definitions of typed events: what `EventPublisher` publishes and `EventRouter` hands to handlers.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import * as Codec from "./Codec.js"
import { firstInvalid } from "./internal/cloudEventAttributes.js"

export interface Event<in out A> {
  readonly type: string
  readonly version: number | undefined
  /** The `type` attribute of its CloudEvents: `order.placed.v1`, or the type alone when there is no version. */
  readonly cloudEventType: string
  /** How its data is read and written: as JSON. */
  readonly codec: Codec.Codec<A>
  readonly subject: ((data: A) => string) | undefined
  readonly dataSchema: string | undefined
}

export interface EventOptions<A, I> {
  /** What happens, such as `order.placed`. */
  readonly type: string
  /**
   * 1 or more: raised when the data changes in a way that readers must know of. Each version is a definition of its own,
   * with a CloudEvents type of its own. Without one the type stands as it is, as other systems' types do.
   */
  readonly version?: number | undefined
  readonly data: Schema.Schema<A, I>
  /**
   * What it happens to: the event's subject and the record's key, so that events of one subject stay in order. Without
   * it, events have neither unless it is given when they are published.
   */
  readonly subject?: ((data: A) => string) | undefined
  /** The URI where others find the data's schema; sent along as `dataschema`. */
  readonly dataSchema?: string | undefined
}

/**
 * What is wrong with an event's definition, or with one event: `InvalidData` when its data doesn't match the schema,
 * `InvalidAttribute` when CloudEvents doesn't allow an attribute's value. Holds nothing of the data.
 */
export class EventError extends Data.TaggedError("EventError")<{
  readonly reason: "InvalidDefinition" | "InvalidData" | "InvalidAttribute" | "UnknownType"
  /** The CloudEvents type: `order.placed.v1`. */
  readonly eventType: string
  /** The attribute's name, `data`, or the name of an option. */
  readonly field: string
  /** For data, with the path to where it doesn't match. */
  readonly description: string
  readonly cause?: unknown
}> {
  override get message(): string {
    return `${this.reason}: ${this.eventType}: ${this.field}: ${this.description}`
  }
}

/** Defines an event. Throws an `EventError` when CloudEvents doesn't allow it, or the version is no whole number from 1. */
export const make = <A, I>(options: EventOptions<A, I>): Event<A> => {
  const { dataSchema, subject, type, version } = options
  const cloudEventType = version === undefined ? type : `${type}.v${version}`
  const invalid = (field: string, description: string): EventError =>
    new EventError({ reason: "InvalidDefinition", eventType: cloudEventType, field, description })
  if (type === "") throw invalid("type", "is empty")
  if (version !== undefined && !(Number.isSafeInteger(version) && version >= 1)) {
    throw invalid("version", "must be a whole number, at least 1")
  }
  const found = firstInvalid({ id: "id", source: "/", type: cloudEventType, dataSchema, extensions: {} })
  if (found !== undefined) throw invalid(found.attribute, found.description)
  return { type, version, cloudEventType, codec: Codec.json(options.data), subject, dataSchema }
}

export interface OccurrenceOptions {
  /** Default: a UUID of version 7. Give it where publishing may be tried again, so that readers know the event again. */
  readonly id?: string | undefined
  /** When it happened, in milliseconds since the epoch; default: now. */
  readonly time?: number | undefined
  /** Default: by the definition. */
  readonly subject?: string | undefined
  /** CloudEvents attributes beyond the standard's, by lower-case names. */
  readonly extensions?: Readonly<Record<string, string>> | undefined
}

/** One event of any definition, to be published. */
export interface Occurrence {
  readonly type: string
  readonly version: number | undefined
  readonly cloudEventType: string
  readonly subject: string | undefined
  readonly dataSchema: string | undefined
  readonly data: unknown
  readonly encode: Effect.Effect<Uint8Array | null, Codec.EncodeError>
  readonly options: Omit<OccurrenceOptions, "subject">
}

/** An event that happened. */
export const of = <A>(event: Event<A>, data: A, options: OccurrenceOptions = {}): Occurrence => ({
  type: event.type,
  version: event.version,
  cloudEventType: event.cloudEventType,
  subject: options.subject ?? event.subject?.(data),
  dataSchema: event.dataSchema,
  data,
  encode: Effect.suspend(() => event.codec.encode(data)),
  options
})
