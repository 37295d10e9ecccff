/**
 * The common parts of producer and consumer spans: whether to make them, their names, and how they start and end.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import { typeOf } from "../HandlerError.js"
import * as Diagnosis from "../runtime/Diagnosis.js"
import { failureOf } from "../runtime/Failure.js"
import { isInterruptedOnly } from "./causes.js"

/** The attributes of OpenTelemetry's conventions for messaging, plus one of Spillway's own. */
export const Attribute = {
  system: "messaging.system.name",
  /** The name that `messaging.system.name` replaced; most backends still identify messaging by it. */
  formerSystem: "messaging.system",
  operation: "messaging.operation.name",
  operationType: "messaging.operation.type",
  destination: "messaging.destination.name",
  partition: "messaging.destination.partition.id",
  group: "messaging.consumer.group.name",
  client: "messaging.client.id",
  batchCount: "messaging.batch.message_count",
  messageId: "messaging.message.id",
  offset: "messaging.kafka.offset",
  key: "messaging.kafka.message.key",
  tombstone: "messaging.kafka.message.tombstone",
  errorType: "error.type",
  attempt: "spillway.attempt"
} as const

export interface SpanSettings {
  readonly relation: "parent" | "link"
  readonly recordKeys: boolean
  readonly clientId: string | undefined
}

export type Runtime = Pick<
  Fiber.RuntimeFiber<unknown, unknown>,
  "currentDefaultServices" | "currentSpan" | "currentTracer" | "getFiberRef"
>

/** Effect's own tracer, whose spans are not exported. */
const native = Context.get(DefaultServices.liveServices, Tracer.Tracer)

/** Whether the fiber has a tracer whose spans are exported. */
export const isTraced = (fiber: Runtime): boolean =>
  fiber.currentTracer !== native && fiber.getFiberRef(FiberRef.currentTracerEnabled)

const now = (fiber: Runtime): bigint => Context.get(fiber.currentDefaultServices, Clock.Clock).unsafeCurrentTimeNanos()

/** A span without the costly stack capture of `Effect.makeSpan`; without a parent it is a root. */
export const start = (
  fiber: Runtime,
  name: string,
  kind: "producer" | "consumer",
  parent: Tracer.AnySpan | undefined,
  links: ReadonlyArray<Tracer.SpanLink>
): Tracer.Span => {
  const options = { root: parent === undefined && kind === "consumer" }
  const { currentTracer } = fiber
  const span = currentTracer.span(name, Option.fromNullable(parent), Context.empty(), links, now(fiber), kind, options)
  if (!span.sampled) return span
  HashMap.forEach(fiber.getFiberRef(FiberRef.currentTracerSpanAnnotations), (value, key) => span.attribute(key, value))
  span.attribute(Attribute.system, "kafka")
  span.attribute(Attribute.formerSystem, "kafka")
  return span
}

/** Milliseconds since the span started. */
export const elapsed = (fiber: Runtime, span: Tracer.Span): number => Number(now(fiber) - span.status.startTime) / 1e6

/** An interruption alone would count as a success. */
const interrupted = Cause.die(new Cause.InterruptedException("interrupted"))

/** Ends a span; `describe` gives the `error.type`. */
export const end = (
  fiber: Runtime,
  span: Tracer.Span,
  exit: Exit.Exit<unknown, unknown>,
  describe: (error: unknown) => string = typeOf
): void => {
  let ended = exit
  if (Exit.isFailure(exit)) {
    const cause = isInterruptedOnly(exit.cause) ? interrupted : exit.cause
    span.attribute(Attribute.errorType, describe(failureOf(cause, 1).error))
    ended = Exit.failCause(Diagnosis.renderable(cause))
  }
  span.end(now(fiber), ended)
}

const keyDecoder = new TextDecoder("utf-8", { fatal: true })

/** A key as text, if it is valid UTF-8. */
export const keyText = (key: string | Uint8Array | null | undefined): string | undefined => {
  if (!(key instanceof Uint8Array)) return key ?? undefined
  try {
    return keyDecoder.decode(key)
  } catch {
    return undefined
  }
}
