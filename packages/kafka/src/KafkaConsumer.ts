/**
 * A member of a consumer group that hands each record to a handler and sees it through to its outcome: handled,
 * retried by a schedule, or dead-lettered. Commits are manual and never pass a record without an outcome.
 */
import type { Codec } from "@spillway/transport/Codec"
import type { Consumer, ConsumerError, ConsumerReport } from "@spillway/transport/Consumer"
import type { DeadLetterPolicy } from "@spillway/transport/DeadLetter"
import type { Handler } from "@spillway/transport/Handler"
import type { Classify } from "@spillway/transport/HandlerError"
import * as Processor from "@spillway/transport/Processor"
import type { RetryPolicy } from "@spillway/transport/RetryPolicy"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as internal from "./internal/consumer.js"
import * as ConsumerSettings from "./internal/consumerSettings.js"
import type { Wire } from "./Wire.js"

export interface KafkaConsumerOptions<A, E, R, RD> extends ConsumerSettings.ConsumerTuning {
  readonly groupId: string
  readonly topics: ReadonlyArray<string>
  /** Decodes a record's value; one that doesn't decode is dead-lettered with its original bytes. */
  readonly value: Codec<A>
  readonly handler: Handler<A, E, R>
  /** Default: `RetryPolicy.exponential()`, 3 retries after 1, 2 and 4 seconds at most. */
  readonly retry?: RetryPolicy | undefined
  /** What becomes of records whose handling failed for good. */
  readonly deadLetter: DeadLetterPolicy<RD>
  /** Replaces what a failure means; default: `HandlerError.classify`. */
  readonly classify?: Classify | undefined
}

/**
 * Joins the group and handles its records until the scope closes, which drains: records in flight settle, waits for
 * retries end, the last commit is made and the group is left. Returns when the group was first joined.
 */
export const make = Effect.fnUntraced(function* <A, E, R, RD>(
  options: KafkaConsumerOptions<A, E, R, RD>
): Effect.fn.Return<Consumer, ConsumerError, R | RD | Wire | Scope.Scope> {
  const settings = yield* ConsumerSettings.decode(options)
  const counts: internal.Counts = { handled: 0, retried: 0, deadLettered: 0, discarded: 0 }
  const processor = yield* Processor.make({
    groupId: settings.groupId,
    topics: settings.topics,
    handler: options.handler,
    value: options.value,
    retry: options.retry,
    deadLetter: options.deadLetter,
    classify: options.classify,
    handlerTimeout: Duration.millis(settings.handlerTimeoutMs),
    onRetry: () => {
      counts.retried++
    }
  })
  return yield* internal.make(settings, processor, counts)
})

/** A consumer as a Layer: built when it has first joined its group, drained when the layer is released. */
export const layer = <A, E, R, RD>(
  options: KafkaConsumerOptions<A, E, R, RD>
): Layer.Layer<never, ConsumerError, R | RD | Wire> => Layer.scopedDiscard(make(options))

/** Like `layer`, with the handle under a tag of the user's own. */
export const layerTag = <Self, A, E, R, RD>(
  tag: Context.Tag<Self, Consumer>,
  options: KafkaConsumerOptions<A, E, R, RD>
): Layer.Layer<Self, ConsumerError, R | RD | Wire> => Layer.scoped(tag, make(options))

/**
 * Consumes until `until` ends (never, by default), then drains and returns the report of what was done. Interrupting it
 * drains too: the interruption is done when records in flight have settled, the last commit is made and the group is
 * left. Fails when the consumer or `until` does.
 */
export const run = <A, E, R, RD, E2 = never, R2 = never>(
  options: KafkaConsumerOptions<A, E, R, RD>,
  until: Effect.Effect<unknown, E2, R2> = Effect.never
): Effect.Effect<ConsumerReport, ConsumerError | E2, R | RD | R2 | Wire> =>
  Effect.scoped(
    Effect.flatMap(make(options), (consumer) => Effect.zipRight(Effect.raceFirst(until, consumer.wait), consumer.close))
  )
