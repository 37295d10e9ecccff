/**
 * Definitions of typed events, which `EventPublisher` publishes and `EventRouter` routes to handlers.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Codec from "./Codec.js"
import * as Headers from "./Headers.js"
import { isText, isUri } from "./internal/cloudEventAttributes.js"
import * as CarriedIssues from "./runtime/CarriedIssues.js"
import * as Settings from "./runtime/Settings.js"

/** A definition of an event, made by `make`. */
export interface Event<in out A> {
  /** The kind of occurrence, such as `order.placed`. */
  readonly type: string
  /** The version of its data, from 1; `undefined` for an event without versions. */
  readonly version: number | undefined
  /** The `type` attribute of its CloudEvents: `order.placed.v1`, or the type alone without a version. */
  readonly cloudEventType: string
  /** How its data is read and written: as JSON. */
  readonly codec: Codec.Codec<A>
  /** Derives the event's subject from its data; `undefined` if the definition has none. */
  readonly subject: ((data: A) => string) | undefined
  /** The URI of the data's schema, sent as `dataschema`. */
  readonly dataSchema: string | undefined
}

/** The options of `make`. */
export interface EventOptions<A, I> {
  /** The kind of occurrence, such as `order.placed`. */
  readonly type: string
  /**
   * 1 or more: raise it when the data changes incompatibly. Each version is a definition of its own with its own
   * CloudEvents type. Without a version the type is used as it is, as in other systems.
   */
  readonly version?: number | undefined
  /** The schema of the data, which is written as JSON. */
  readonly data: Schema.Schema<A, I>
  /**
   * The thing that the event is about: the event's subject and the record's key, so that the events of one subject stay
   * in order. Without it, an event has neither, unless publishing passes a subject.
   */
  readonly subject?: ((data: A) => string) | undefined
  /** The URI of the data's schema, sent as `dataschema`. */
  readonly dataSchema?: string | undefined
}

/**
 * A problem with an event's definition or with one event: `InvalidData` if its data doesn't match the schema,
 * `InvalidAttribute` if CloudEvents forbids an attribute's value. Contains none of the data.
 */
export class EventError extends Data.TaggedError("EventError")<{
  /** The kind of problem. */
  readonly reason: "InvalidDefinition" | "InvalidData" | "InvalidAttribute" | "UnknownType"
  /** The CloudEvents type: `order.placed.v1`. */
  readonly eventType: string
  /** The attribute's name, `data`, or the name of an option. */
  readonly field: string
  /** For data, includes the path of the mismatch. */
  readonly description: string
  /** The codec's or the schema's error, if any. */
  readonly cause?: unknown
}> {
  override get message(): string {
    return `${this.reason}: ${this.eventType}: ${this.field}: ${this.description}`
  }
}

const settings = {
  module: "Event",
  prefix: "",
  fields: {
    type: Settings.text({ meaning: "the kind of occurrence" }, isText, "must be text that CloudEvents allows"),
    version: Settings.optional(Settings.whole({ meaning: "the version of its data" })),
    data: Settings.make<Schema.Schema<unknown>>(
      { meaning: "the schema of its data" },
      undefined,
      Schema.isSchema,
      "must be a schema"
    ),
    subject: Settings.optional(Settings.code<(data: unknown) => string>({ meaning: "derives the event's subject" })),
    dataSchema: Settings.optional(Settings.text({ meaning: "the URI of the data's schema" }, isUri, "must be a URI"))
  } satisfies Settings.FieldsOf<EventOptions<unknown, unknown>>
}

/**
 * Defines an event. A definition with options that CloudEvents forbids fails where it is used: a consumer of it at its
 * start, with `InvalidOptions`; `publish` with an `EventError` that has `InvalidOptions` as its cause.
 */
export const make = <A, I>(options: EventOptions<A, I>): Event<A> => {
  const { issues } = Settings.check(settings, options)
  const { data, dataSchema, subject, type, version } = options ?? {}
  return CarriedIssues.carry(
    {
      type,
      version,
      cloudEventType: version === undefined ? String(type) : `${type}.v${version}`,
      codec: Codec.json(issues.length === 0 ? data : (Schema.Never as never)),
      subject,
      dataSchema
    },
    issues
  )
}

/** The attributes of one event that its definition leaves open. */
export interface OccurrenceOptions {
  /**
   * The event's id. Default: a UUID of version 7. Set it if publishing may be repeated, so that readers recognize the
   * event.
   */
  readonly id?: string | undefined
  /** When the event happened, in milliseconds since the epoch; default: now. */
  readonly time?: number | undefined
  /** The event's subject and the record's key. Default: derived by the definition. */
  readonly subject?: string | undefined
  /** CloudEvents attributes beyond the standard's, by lower-case names. */
  readonly extensions?: Readonly<Record<string, string>> | undefined
}

/** One event of any definition, ready to publish. */
export interface Occurrence {
  /** The type of its definition, such as `order.placed`. */
  readonly type: string
  /** The version of its definition; `undefined` if it has none. */
  readonly version: number | undefined
  /** The `type` attribute of its CloudEvent, such as `order.placed.v1`. */
  readonly cloudEventType: string
  /** The thing that the event is about, and the record's key; `undefined` for neither. */
  readonly subject: string | undefined
  /** The URI of the data's schema. */
  readonly dataSchema: string | undefined
  /** The data, not yet encoded. */
  readonly data: unknown
  /** Encodes the data for a topic. */
  readonly encode: (topic: string) => Effect.Effect<Uint8Array | null, Codec.EncodeError>
  /** The id, time and extensions, as far as they were given. */
  readonly options: Omit<OccurrenceOptions, "subject">
}

/** An event that happened. */
export const of = <A>(event: Event<A>, data: A, options: OccurrenceOptions = {}): Occurrence =>
  CarriedIssues.carry(
    {
      type: event.type,
      version: event.version,
      cloudEventType: event.cloudEventType,
      subject: options.subject ?? event.subject?.(data),
      dataSchema: event.dataSchema,
      data,
      encode: (topic) =>
        Effect.suspend(() => event.codec.encode(data, { topic, headers: Headers.empty, part: "value" })),
      options
    },
    CarriedIssues.carriedBy(event)
  )
