/**
 * Spans around the attempts to handle a record, and around retries and the dead letter.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import * as Tracer from "effect/Tracer"
import { type ConsumedRecord, eventIdOf } from "../Envelope.js"
import { HandlerTimeout } from "../HandlerError.js"
import type { Attempt, Processing } from "../runtime/Tracing.js"
import { awaited } from "./attempt.js"
import { isInterruptedOnly } from "./causes.js"
import { Attribute, elapsed, end, isTraced, keyText, type Runtime, type SpanSettings, start } from "./spans.js"
import * as TraceContext from "./traceContext.js"
import { originalCauseOf } from "./undecodable.js"

export const off: Processing = (attempt) => ({ attempt, following: (_, effect) => effect })

export const make =
  (settings: SpanSettings): Processing =>
  <R>(
    attempt: Attempt<R>,
    { groupId, handlerTimeout }: { readonly groupId: string; readonly handlerTimeout: Duration.Duration }
  ) => {
    /** The span of each record's failed first attempt. */
    const failed = new WeakMap<ConsumedRecord, Tracer.Span>()

    const describe = (span: Tracer.Span, record: ConsumedRecord, number: number): void => {
      span.attribute(Attribute.operation, "process")
      span.attribute(Attribute.operationType, "process")
      span.attribute(Attribute.destination, record.topic)
      span.attribute(Attribute.partition, String(record.partition))
      span.attribute(Attribute.offset, record.offset)
      span.attribute(Attribute.group, groupId)
      span.attribute(Attribute.messageId, eventIdOf(record))
      span.attribute(Attribute.attempt, number)
      if (settings.clientId !== undefined) span.attribute(Attribute.client, settings.clientId)
      const key = settings.recordKeys ? keyText(record.key) : undefined
      if (key !== undefined) span.attribute(Attribute.key, key)
      if (record.value === null) span.attribute(Attribute.tombstone, true)
    }

    /** Runs an attempt in its own span, with the record's context as its parent, its link or both. */
    const inSpan = (
      fiber: Runtime,
      record: ConsumedRecord,
      number: number,
      parent: Tracer.AnySpan | undefined,
      remote: TraceContext.RemoteSpan | undefined
    ): Effect.Effect<unknown, unknown, R> => {
      const links = remote === undefined ? [] : [{ _tag: "SpanLink", span: remote, attributes: {} } as const]
      const span = start(fiber, `process ${record.topic}`, "consumer", parent, links)
      if (!span.sampled) return unsampled(fiber, span, attempt(record, number))
      describe(span, record, number)
      return Effect.onExit(withParent(Effect.map(attempt(record, number), awaited), span), (exit) =>
        Effect.sync(() => {
          if (number === 1 && Exit.isFailure(exit)) failed.set(record, span)
          end(fiber, span, exitOf(fiber, span, exit))
        })
      )
    }

    const exitOf = (
      fiber: Runtime,
      span: Tracer.Span,
      exit: Exit.Exit<unknown, unknown>
    ): Exit.Exit<unknown, unknown> => {
      if (Exit.isSuccess(exit)) return exit
      // An interruption after `handlerTimeout` is a timeout, which the exit alone doesn't show.
      return isInterruptedOnly(exit.cause) && elapsed(fiber, span) >= Duration.toMillis(handlerTimeout)
        ? Exit.fail(new HandlerTimeout({ timeout: handlerTimeout }))
        : Exit.failCause(originalCauseOf(exit.cause))
    }

    return {
      attempt: (record, number) =>
        Effect.withFiberRuntime((fiber) => {
          if (number > 1) {
            const first = failed.get(record)
            if (first === undefined) return attempt(record, number)
            return inSpan(fiber, record, number, first, TraceContext.read(record.headers))
          }
          const remote = TraceContext.read(record.headers)
          if (remote?.sampled === false || !isTraced(fiber)) return unsampled(fiber, remote, attempt(record, number))
          return inSpan(fiber, record, number, settings.relation === "parent" ? remote : undefined, remote)
        }),
      following: (record, effect) =>
        Effect.withFiberRuntime((fiber) => {
          const first = failed.get(record)
          if (first !== undefined) return withParent(effect, first)
          if (fiber.currentSpan instanceof TraceContext.Unsampled) return effect
          const remote = TraceContext.read(record.headers)
          return remote === undefined ? effect : withParent(effect, remote)
        })
    }
  }

const withParent = <A, E, R>(effect: Effect.Effect<A, E, R>, span: Tracer.AnySpan): Effect.Effect<A, E, R> =>
  Effect.withParentSpan(effect, span) as Effect.Effect<A, E, R>

/** Runs an attempt without a span; its parent is the context that it passes on. */
const unsampled = <A, E, R>(
  fiber: Runtime,
  context: Tracer.AnySpan | undefined,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => {
  const { currentSpan } = fiber
  if (currentSpan instanceof TraceContext.Unsampled) {
    currentSpan.of = context
    return effect
  }
  if (context === undefined) return effect
  const parent = new TraceContext.Unsampled(context)
  return Effect.zipRight(
    FiberRef.update(FiberRef.currentContext, (services) => Context.add(services, Tracer.ParentSpan, parent)),
    effect
  )
}
