/**
 * The spans of consumers and producers. For Spillway's own runtimes; unstable.
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type { ConsumedRecord } from "../Envelope.js"
import type { Producer } from "../Producer.js"

/** One attempt to handle a record; the first is attempt 1. */
export type Attempt<R> = (record: ConsumedRecord, attempt: number) => Effect.Effect<unknown, unknown, R>

/** Attempts with spans around them. */
export interface Traced<R> {
  /** An attempt in its span. */
  readonly attempt: Attempt<R>
  /** Runs the steps after a record's failed first attempt as part of that attempt's trace. */
  readonly following: <A, E, R>(record: ConsumedRecord, effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

/** Puts spans around the attempts of a consumer. */
export type Processing = <R>(
  attempt: Attempt<R>,
  options: {
    /** The consumer's group. */
    readonly groupId: string
    /** A span shows an attempt as timed out if it was interrupted after this time. */
    readonly handlerTimeout: Duration.Duration
  }
) => Traced<R>

/** Makes the spans of consumers and producers. */
export interface Tracing {
  /** False if tracing is off: callers can then skip the others. */
  readonly enabled: boolean
  /** The producer with spans around its sends. */
  readonly producer: (producer: Producer["Type"]) => Producer["Type"]
  /** A consumer's attempts with spans around them. */
  readonly processing: Processing
}
