/**
 * The operations that a client retries until they succeed. A failing operation is logged once it matters, again at a
 * slow interval, and once when it succeeds or is no longer retried. One line covers all subjects of an operation, such as partitions.
 */
import { messageOf } from "@spillway/transport/HandlerError"
import * as Logging from "@spillway/transport/runtime/Logging"
import * as Monotonic from "@spillway/transport/runtime/Monotonic"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as LogLevel from "effect/LogLevel"
import * as Runtime from "effect/Runtime"

/** An operation that has been failing for this long, in milliseconds, is logged and shown in health. */
export const lastingAfterMs = 10_000

/** How often a failing operation is logged, in milliseconds. */
export const repeatEveryMs = 30_000

/** A failure that doesn't recur for this long, in milliseconds, counts as over: its broker was removed. */
const forgottenAfterMs = 5 * 60_000

/** The limit of subjects named in a log line or a health check. */
const named = 10

/** An error, or its message. */
export type Failure = string | { readonly message: string }

/** An operation that has been failing for `lastingAfterMs` or longer. */
export interface Lasting {
  readonly operation: string
  /** The number of subjects that it fails for. */
  readonly count: number
  /** The first subjects, by name; empty for an operation without subjects. */
  readonly subjects: ReadonlyArray<string>
  /** Failed attempts for the subject that has been failing the longest. */
  readonly attempts: number
  /** How long that subject has been failing. */
  readonly seconds: number
  readonly error: string
}

export interface Retry {
  /** Records a failed attempt that began at `since` (monotonic milliseconds; default: now, or when `during` began). */
  readonly failed: (failure: Failure, since?: number) => Effect.Effect<void>
  readonly succeeded: Effect.Effect<void>
  /** Records that the retries end, although the operation hasn't succeeded. */
  readonly dropped: () => void
}

export interface Retries {
  /** `subject` is the part of the operation that is retried, such as a partition. */
  readonly of: (operation: string, subject?: string) => Retry
  /** Runs an effect that retries an operation. The operation is over when the effect ends. */
  readonly during: <A, E, R>(
    operation: string,
    subject: string,
    body: (retry: Retry) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E, R>
  readonly lasting: () => ReadonlyArray<Lasting>
}

interface Entry {
  readonly since: number
  lastAt: number
  attempts: number
  error: string
}

interface Operation {
  readonly name: string
  readonly entries: Map<string, Entry>
  /** When it was last logged, and since when it had been failing then; absent while no line is open. */
  reported: { readonly at: number; readonly since: number } | undefined
}

/** Limits lines of one kind across all clients that share a clock: a process may have a hundred. */
const limits = new WeakMap<Clock.Clock, Map<string, ReturnType<typeof Logging.limited>>>()

const limitOf = (clock: Clock.Clock, kind: string): ReturnType<typeof Logging.limited> => {
  const kinds = limits.get(clock) ?? new Map<string, ReturnType<typeof Logging.limited>>()
  limits.set(clock, kinds)
  const limit = kinds.get(kind) ?? Logging.limited(Logging.storm)
  kinds.set(kind, limit)
  return limit
}

const seconds = (millis: number): number => Math.round(millis / 1_000)

const lastingOf = ({ entries, name }: Operation, now: number): Lasting | undefined => {
  for (const [subject, { lastAt }] of entries) if (now - lastAt >= forgottenAfterMs) entries.delete(subject)
  const lasting = Array.from(entries).filter(([, { since }]) => now - since >= lastingAfterMs)
  if (lasting.length === 0) return undefined
  const oldest = lasting.reduce((one, other) => (other[1].since < one[1].since ? other : one))[1]
  return {
    operation: name,
    count: lasting.length,
    subjects: lasting
      .map(([subject]) => subject)
      .filter((subject) => subject !== "")
      .sort()
      .slice(0, named),
    attempts: oldest.attempts,
    seconds: seconds(now - oldest.since),
    error: oldest.error
  }
}

/** `annotations`: added to every line of this client. */
export const make = (annotations: Readonly<Record<string, unknown>> = {}): Effect.Effect<Retries> =>
  Effect.zipWith(Effect.clock, Effect.runtime<never>(), (clock, runtime) => {
    const operations = new Map<string, Operation>()
    const now = () => Monotonic.millis(clock)

    const line = (level: LogLevel.LogLevel, message: string, kind: string, more: Readonly<Record<string, unknown>>) =>
      limitOf(clock, kind)(Logging.log(level, message, { ...annotations, ...more }))

    const report = (operation: Operation, failed: Entry): Effect.Effect<void> => {
      const at = now()
      if (at - failed.since < lastingAfterMs) return Effect.void
      if (operation.reported !== undefined && at - operation.reported.at < repeatEveryMs) return Effect.void
      const lasting = lastingOf(operation, at)
      if (lasting === undefined) return Effect.void
      const { subjects, count, ...more } = lasting
      const since = Math.min(...Array.from(operation.entries.values(), (entry) => entry.since))
      operation.reported = { at, since: operation.reported?.since ?? since }
      return line(LogLevel.Warning, "An operation keeps failing; retrying", `failing ${operation.name}`, {
        ...more,
        ...(subjects.length === 0 ? {} : { count, subjects: subjects.join(" ") })
      })
    }

    const end = (operation: Operation, subject: string): boolean => {
      operation.entries.delete(subject)
      const isOver = operation.reported !== undefined && lastingOf(operation, now()) === undefined
      if (operation.entries.size === 0) operations.delete(operation.name)
      return isOver
    }

    const over = (operation: Operation, message: string): Effect.Effect<void> => {
      const { name, reported } = operation
      operation.reported = undefined
      return line(LogLevel.Info, message, `over ${name}`, {
        operation: name,
        seconds: seconds(now() - reported!.since)
      })
    }

    const retryOf = (name: string, subject: string, began?: number): Retry => ({
      failed: (failure, since = began) =>
        Effect.suspend(() => {
          const operation = operations.get(name) ?? { name, entries: new Map(), reported: undefined }
          operations.set(name, operation)
          const entry = operation.entries.get(subject) ?? { since: since ?? now(), lastAt: 0, attempts: 0, error: "" }
          operation.entries.set(subject, entry)
          entry.attempts++
          entry.lastAt = now()
          entry.error = messageOf(failure)
          return report(operation, entry)
        }),
      succeeded: Effect.suspend(() => {
        const operation = operations.get(name)
        return operation === undefined || !end(operation, subject)
          ? Effect.void
          : over(operation, "The operation succeeds again")
      }),
      dropped: () => {
        const operation = operations.get(name)
        if (operation === undefined || !end(operation, subject)) return
        Runtime.runFork(runtime)(over(operation, "The operation is no longer retried"))
      }
    })

    return {
      of: (operation, subject = "") => retryOf(operation, subject),
      during: (operation, subject, body) =>
        Effect.suspend(() => {
          const retry = retryOf(operation, subject, now())
          return Effect.onExit(body(retry), (exit) =>
            Exit.isSuccess(exit) ? retry.succeeded : Effect.sync(retry.dropped)
          )
        }),
      lasting: () =>
        Array.from(operations.values()).flatMap((operation) => {
          const lasting = lastingOf(operation, now())
          return lasting === undefined ? [] : [lasting]
        })
    }
  })
