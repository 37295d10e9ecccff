/**
 * The sends without all results: each waits until its last record has one, its delivery timeout, or its caller's
 * interruption.
 */
import type { Metrics } from "@spillway/transport/runtime/Metrics"
import type * as Effect from "effect/Effect"
import * as Expiry from "../concurrency/expiry.js"
import type { Signal } from "../concurrency/signal.js"
import type { Accumulator } from "./accumulator.js"
import type { Failure } from "./decisions.js"
import type { ProducerView } from "./health.js"
import * as PendingSend from "./pendingSend.js"
import type { Done } from "./ports.js"

export interface Sends {
  /** The send waits for its results from now on. */
  readonly accept: (send: PendingSend.PendingSend) => void
  /** The send has its results. */
  readonly leave: (send: PendingSend.PendingSend) => void
  /** Abandons the send without a result: its caller was interrupted. */
  readonly abandon: (send: PendingSend.PendingSend) => void
  /** Fails every record without a result. */
  readonly discard: (failure: Failure) => void
  readonly size: () => number
  readonly view: () => Pick<ProducerView, "pending" | "oldest">
}

export interface Options {
  readonly deliveryTimeoutMs: number
  readonly metrics: Metrics
  readonly run: (effect: Effect.Effect<void>) => void
  /** Milliseconds of the monotonic clock. */
  readonly now: () => number
  readonly done: Done
  readonly accumulator: Accumulator
  /** Notified when no send waits any more, and after `discard`. */
  readonly changed: Signal
}

export const make = ({ accumulator, changed, deliveryTimeoutMs, done, metrics, now, run }: Options): Sends => {
  const sends = new Set<PendingSend.PendingSend>()

  /** Fails every record of the send without a result. */
  const abort = (send: PendingSend.PendingSend, failure: Failure): void => {
    for (const entry of send.entries) {
      if (entry.settled) continue
      PendingSend.reject(entry, failure)
      accumulator.withdraw(entry)
      if (entry.batch?.sent === true) done.failed(failure)
    }
  }

  const overdue = ({ lastFailure }: PendingSend.PendingSend): Failure => ({
    reason: "DeliveryTimeout",
    description: `not acknowledged within ${deliveryTimeoutMs} ms${lastFailure === undefined ? "" : `; ${lastFailure.description}`}`,
    cause: lastFailure?.cause
  })

  const deadlines = Expiry.make<PendingSend.PendingSend>({
    delayMs: deliveryTimeoutMs,
    run,
    now,
    onDue: (send) => abort(send, overdue(send))
  })

  const leave = (send: PendingSend.PendingSend): void => {
    if (!sends.delete(send)) return
    deadlines.delete(send)
    if (sends.size === 0) changed.notify()
  }

  return {
    accept: (send) => {
      sends.add(send)
      deadlines.add(send, send.acceptedAt)
    },
    leave,
    abandon: (send) => {
      if (send.over) return
      leave(send)
      PendingSend.abandon(send, (entry) => {
        if (entry.batch?.sent === true) metrics.producer(entry).abandoned(1)
        else accumulator.withdraw(entry)
      })
    },
    discard: (failure) => {
      for (const send of sends) abort(send, failure)
      changed.notify()
    },
    size: () => sends.size,
    view: () => {
      const [first] = sends
      const oldest = first && {
        topic: first.records[0]!.topic,
        ageMs: now() - first.acceptedAt,
        lastFailure: first.lastFailure?.description
      }
      return { pending: sends.size, oldest }
    }
  }
}
