/**
 * Routes each event of a topic to the handler of its type and version.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as CloudEvent from "./CloudEvent.js"
import * as Codec from "./Codec.js"
import { type Envelope, map } from "./Envelope.js"
import { type Event, EventError } from "./Event.js"
import type { Handler } from "./Handler.js"
import { NonRetryableError } from "./HandlerError.js"
import { isExit } from "./internal/exit.js"
import { isJson } from "./internal/mediaType.js"
import * as CarriedIssues from "./runtime/CarriedIssues.js"
import * as Settings from "./runtime/Settings.js"

/**
 * The argument of an event's handler: the envelope with the event's data as its value. `eventId` is the CloudEvent's
 * id.
 */
export interface EventEnvelope<out A> extends Envelope<A> {
  /** The attributes of the CloudEvent. */
  readonly attributes: CloudEvent.CloudEventAttributes
}

/** The handler of one event, made by `on`. */
export interface Route<out E, out R> {
  /** The CloudEvents type that it handles, such as `order.placed.v1`. */
  readonly cloudEventType: string
  /** Decodes the event's data and runs the handler. */
  readonly handle: (
    event: CloudEvent.CloudEvent,
    envelope: Envelope<Uint8Array | null>
  ) => Effect.Effect<unknown, E | NonRetryableError, R>
}

/**
 * Handles the events of a definition, in binary or structured mode. Accepts a handler of an envelope of the data, too.
 * Data that doesn't match the schema fails with a `NonRetryableError` of an `EventError`.
 */
export const on = <A, E, R>(
  event: Event<A>,
  handler: (event: EventEnvelope<A>) => Effect.Effect<unknown, E, R>
): Route<E, R> => {
  const { cloudEventType: eventType, codec } = event
  const invalid = (reason: "InvalidData" | "InvalidAttribute", field: string, description: string, cause?: unknown) =>
    new NonRetryableError({ cause: new EventError({ reason, eventType, field, description, cause }) })
  const invalidData = (cause: Codec.DecodeError) => invalid("InvalidData", "data", cause.description, cause)
  const route: Route<E, R> = {
    cloudEventType: eventType,
    handle: ({ attributes, data }, envelope) => {
      if (!isJson(attributes.dataContentType)) {
        return Exit.fail(invalid("InvalidAttribute", "datacontenttype", "only JSON is supported"))
      }
      const handle = (data: A) => handler({ ...map(envelope, () => data), eventId: attributes.id, attributes })
      const decoded = codec.decode(data, { topic: envelope.topic, headers: envelope.headers, part: "value" })
      if (!isExit(decoded)) return Effect.flatMap(Effect.mapError(decoded, invalidData), handle)
      return Exit.isSuccess(decoded) ? handle(decoded.value) : Exit.mapError(decoded, invalidData)
    }
  }
  return CarriedIssues.carry(route, CarriedIssues.carriedBy(event))
}

/** The error type of a route's handler. */
export type RouteError<T> = T extends Route<infer E, infer _R> ? E : never

/** The requirements of a route's handler. */
export type RouteContext<T> = T extends Route<infer _E, infer R> ? R : never

/** The routes of a topic. */
export interface EventRouterOptions<Routes> {
  /** One route per type and version, made by `on`. */
  readonly routes: Routes
  /** How to treat an event without a route: `"ignore"` counts it as handled, `"deadLetter"` dead-letters it at once. */
  readonly unknown: "ignore" | "deadLetter"
}

/** The consumer options that a router determines: spread them into yours. */
export interface EventRouter<out E, out R> {
  /** Passes the record's bytes to the router. */
  readonly value: Codec.Codec<Uint8Array | null>
  /** Reads the event of a record and runs its route. */
  readonly handler: Handler<Uint8Array | null, E | NonRetryableError, R>
}

const settings = {
  module: "EventRouter",
  prefix: "",
  fields: {
    routes: {
      meaning: "one route per type and version",
      shown: undefined,
      parse: undefined,
      decode: (given: unknown, refuse: Settings.Refuse): ReadonlyArray<Route<unknown, unknown>> => {
        if (!Array.isArray(given)) {
          refuse(given, "must be a list of routes")
          return []
        }
        const types = new Set<unknown>()
        for (const [index, route] of given.entries()) {
          const { cloudEventType } = (route ?? {}) as Partial<Route<unknown, unknown>>
          if (cloudEventType === undefined) refuse(route, "must be a route", `[${index}]`)
          else if (types.has(cloudEventType)) {
            refuse(cloudEventType, "must be the only route of its type and version", `[${index}]`)
          }
          types.add(cloudEventType)
          for (const { description, field, value } of CarriedIssues.carriedBy(route)) {
            refuse(value, description, `[${index}].${field}`)
          }
        }
        return given
      }
    },
    unknown: Settings.oneOf({ meaning: "how to treat an event without a route" }, "ignore", "deadLetter")
  } satisfies Settings.FieldsOf<EventRouterOptions<ReadonlyArray<Route<unknown, unknown>>>>
}

/**
 * Routes records to the handlers of their events. A record that is not a CloudEvent fails with a `NonRetryableError` of
 * a `CloudEventError`. A consumer of a router whose routes can't be used fails with `InvalidOptions` at its start.
 */
export const make = <const Routes extends ReadonlyArray<Route<unknown, unknown>>>(
  options: EventRouterOptions<Routes>
): EventRouter<RouteError<Routes[number]>, RouteContext<Routes[number]>> => {
  const { issues, values } = Settings.check(settings, options)
  const byType = new Map(values.routes.toReversed().map((route) => [route.cloudEventType, route]))
  const handler: Handler<Uint8Array | null, unknown, unknown> = (envelope) => {
    const read = CloudEvent.fromRecord(envelope)
    if (Either.isLeft(read)) return Exit.fail(new NonRetryableError({ cause: read.left }))
    const route = byType.get(read.right.attributes.type)
    if (route !== undefined) return route.handle(read.right, envelope)
    return values.unknown === "ignore" ? Exit.void : Exit.fail(unknownType(read.right.attributes.type))
  }
  // The union of the routes' errors and requirements, which TypeScript can't follow through the map.
  return {
    value: CarriedIssues.carry({ ...Codec.bytes }, issues),
    handler: handler as Handler<Uint8Array | null, RouteError<Routes[number]>, RouteContext<Routes[number]>>
  }
}

const unknownType = (eventType: string): NonRetryableError =>
  new NonRetryableError({
    cause: new EventError({ reason: "UnknownType", eventType, field: "type", description: "has no route" })
  })
