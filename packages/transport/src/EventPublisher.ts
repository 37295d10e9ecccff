/**
 * The service that publishes typed events as CloudEvents 1.0, in the binary mode of their Kafka binding.
 */
import * as Clock from "effect/Clock"
import type { Config } from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as CloudEvent from "./CloudEvent.js"
import type { EncodeError } from "./Codec.js"
import * as Event from "./Event.js"
import { InvalidOptions, type OptionIssue } from "./InvalidOptions.js"
import { settings } from "./internal/eventPublisherSettings.js"
import * as Uuid from "./internal/uuid.js"
import { Producer, type ProducerError, type ProducerRecord, type RecordMetadata } from "./Producer.js"
import * as CarriedIssues from "./runtime/CarriedIssues.js"
import * as Settings from "./runtime/Settings.js"

/** The options of the publisher. */
export interface EventPublisherOptions {
  /** The source of the events, as a URI reference: `https://shop.example/billing` or `/billing`. */
  readonly source: string
  /** The topic, or a function that returns an event's topic. */
  readonly topic: string | ((event: Event.Occurrence) => string)
}

/** The coordinates of a published event, and its id. */
export interface PublishedEvent extends RecordMetadata {
  /** The `id` attribute of its CloudEvent. */
  readonly eventId: string
}

/** The service that publishes events, made by `layer`. */
export class EventPublisher extends Context.Tag("@spillway/transport/EventPublisher")<
  EventPublisher,
  {
    /** Publishes one event with its subject as the record's key; returns when it is acknowledged. */
    readonly publish: <A>(
      event: Event.Event<A>,
      data: A,
      options?: Event.OccurrenceOptions | undefined
    ) => Effect.Effect<PublishedEvent, Event.EventError | ProducerError>
    /**
     * Publishes events made by `Event.of`, in order within each partition. If one of them can't be written as an event,
     * none is published.
     */
    readonly publishAll: (
      events: ReadonlyArray<Event.Occurrence>
    ) => Effect.Effect<ReadonlyArray<PublishedEvent>, Event.EventError | ProducerError>
  }
>() {}

/** Publishes through `Producer`. */
export const make = Effect.fnUntraced(function* (
  options: EventPublisherOptions
): Effect.fn.Return<Context.Tag.Service<EventPublisher>, InvalidOptions, Producer> {
  yield* Settings.decode(settings, options)
  const { source, topic } = options
  const producer = yield* Producer

  const encode = Effect.fnUntraced(function* (event: Event.Occurrence) {
    const issues = CarriedIssues.carriedBy(event)
    if (issues.length > 0) return yield* invalidDefinition(event, issues)
    const id = event.options.id ?? (yield* Uuid.make)
    const time = event.options.time ?? (yield* Clock.currentTimeMillis)
    const destination = typeof topic === "string" ? topic : topic(event)
    const data = yield* Effect.mapError(event.encode(destination), (cause) => invalidData(event, cause))
    const written = CloudEvent.toRecord({
      attributes: {
        id,
        type: event.cloudEventType,
        source,
        time,
        subject: event.subject,
        dataContentType: "application/json",
        dataSchema: event.dataSchema,
        extensions: event.options.extensions ?? {}
      },
      data
    })
    const { headers, value } = yield* Either.mapLeft(written, (cause) => invalidAttribute(event, cause))
    const record: ProducerRecord = {
      topic: destination,
      key: event.subject,
      value,
      headers
    }
    return { id, record }
  })

  return {
    publish: Effect.fnUntraced(function* (event, data, options) {
      const { id, record } = yield* encode(Event.of(event, data, options))
      return { ...(yield* producer.send(record)), eventId: id }
    }),
    publishAll: Effect.fnUntraced(function* (events) {
      const encoded = yield* Effect.forEach(events, encode)
      const landed = yield* producer.sendAll(encoded.map(({ record }) => record))
      return landed.map((metadata, index) => ({ ...metadata, eventId: encoded[index]!.id }))
    })
  }
})

/** The `EventPublisher` service. */
export const layer = (options: EventPublisherOptions): Layer.Layer<EventPublisher, InvalidOptions, Producer> =>
  Layer.effect(EventPublisher, make(options))

/**
 * `EVENT_PUBLISHER_SOURCE` and `EVENT_PUBLISHER_TOPIC`, required unless there are defaults; within a namespace `A`,
 * `A_EVENT_PUBLISHER_SOURCE`.
 */
export const config = (
  defaults?: Partial<EventPublisherOptions> | undefined,
  namespace?: string | undefined
): Config<EventPublisherOptions> => Settings.config(settings, defaults, namespace)

/** `layer` with the options from the environment; see `config`. */
export const layerConfig = (
  defaults?: Partial<EventPublisherOptions> | undefined,
  namespace?: string | undefined
): Layer.Layer<EventPublisher, InvalidOptions | ConfigError, Producer> =>
  Layer.effect(EventPublisher, Effect.flatMap(config(defaults, namespace), make))

const invalidDefinition = (event: Event.Occurrence, issues: ReadonlyArray<OptionIssue>): Event.EventError => {
  const cause = new InvalidOptions({ module: "Event", issues })
  return new Event.EventError({
    reason: "InvalidDefinition",
    eventType: event.cloudEventType,
    field: issues[0]!.field,
    description: cause.message,
    cause
  })
}

const invalidData = (event: Event.Occurrence, cause: EncodeError): Event.EventError =>
  new Event.EventError({
    reason: "InvalidData",
    eventType: event.cloudEventType,
    field: "data",
    description: cause.description,
    cause
  })

const invalidAttribute = (event: Event.Occurrence, cause: CloudEvent.CloudEventError): Event.EventError =>
  new Event.EventError({
    reason: "InvalidAttribute",
    eventType: event.cloudEventType,
    field: cause.attribute ?? "event",
    description: cause.description,
    cause
  })
