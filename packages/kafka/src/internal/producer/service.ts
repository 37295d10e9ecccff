/**
 * The `Producer` service: sends as effects.
 */

import { type Producer, ProducerError, type ProducerRecord } from "@spillway/transport/Producer"
import * as Concurrency from "@spillway/transport/runtime/Concurrency"
import { show } from "@spillway/transport/runtime/Environment"
import type { Tracing } from "@spillway/transport/runtime/Tracing"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { ProducerSettings } from "../settings/producerSettings.js"
import * as Closing from "./closing.js"
import type { Failure } from "./decisions.js"
import type { Intake, Refuse } from "./intake.js"
import * as PendingSend from "./pendingSend.js"
import type { Sends } from "./sends.js"
import type { Topics } from "./topics.js"

export interface Options {
  readonly settings: ProducerSettings
  readonly tracing: Tracing
  readonly topics: Topics
  readonly sends: Sends
  readonly intake: Intake
  readonly closing: Closing.Closing
  /** Milliseconds of the monotonic clock. */
  readonly now: () => number
}

const isList = (records: unknown): boolean =>
  typeof records === "object" && records !== null && Symbol.iterator in records

const notRecords = (records: unknown): ProducerError =>
  new ProducerError({
    reason: "InvalidRecord",
    topic: "",
    description: `records must be an array, not ${show(records)}`
  })

export const make = (options: Options): Context.Tag.Service<Producer> => {
  const { closing, intake, now, sends, settings, topics, tracing } = options

  const publish = <A, E>(
    records: ReadonlyArray<ProducerRecord>,
    refuse: Refuse,
    exitOf: (results: ReadonlyArray<PendingSend.Result>) => Effect.Effect<A, E>
  ): Effect.Effect<A, E> =>
    Effect.async<A, E>((resume) => {
      const send = PendingSend.make(records, now(), (send) => {
        sends.leave(send)
        resume(exitOf(send.results as ReadonlyArray<PendingSend.Result>))
      })
      intake(send, refuse)
      return Effect.sync(() => sends.abandon(send))
    })

  const publishAll = <A, E>(
    records: ReadonlyArray<ProducerRecord>,
    refuse: Refuse,
    exitOf: (results: ReadonlyArray<PendingSend.Result>) => Effect.Effect<ReadonlyArray<A>, E>,
    refuseWhole: (error: ProducerError) => Effect.Effect<never, E>
  ): Effect.Effect<ReadonlyArray<A>, E> =>
    // The caller may change the array once this runs.
    Effect.suspend(() => {
      if (!isList(records)) return refuseWhole(notRecords(records))
      const own = Array.from(records)
      return own.length === 0 ? Effect.succeed([]) : publish(own, refuse, exitOf)
    })

  const partitions = (topic: string): Effect.Effect<number, ProducerError> =>
    Effect.suspend(() => {
      const known = closing.hasBegun() ? undefined : topics.known(topic)
      if (known !== undefined) return Effect.succeed(known.partitions.length)
      let lastFailure: Failure | undefined
      const looked = topics.lookup(topic, 0, (failure) => {
        lastFailure = failure
        return true
      })
      const timed = Concurrency.timeoutFail(looked, {
        duration: settings.deliveryTimeoutMs,
        onTimeout: (): Failure => ({
          reason: "DeliveryTimeout",
          description: `no answer within ${settings.deliveryTimeoutMs} ms; ${lastFailure?.description ?? "no broker answered"}`,
          cause: lastFailure?.cause
        })
      })
      return Effect.mapBoth(
        Concurrency.raceFirst(timed, closing.hasBegun() ? Effect.fail(Closing.closed) : closing.over),
        {
          onFailure: ({ cause, description, reason }) => new ProducerError({ reason, topic, description, cause }),
          onSuccess: (metadata) => metadata.partitions.length
        }
      )
    })

  return tracing.producer({
    send: (record) => publish([record], PendingSend.refuseAll, ([result]) => PendingSend.exitOfOne(result!)),
    sendAll: (records) => publishAll(records, PendingSend.refuseAll, PendingSend.exitOfAll, Effect.fail),
    sendAllEither: (records) =>
      publishAll(
        records,
        PendingSend.refuse,
        (results) => Effect.succeed(results.map(PendingSend.eitherOf)),
        Effect.die
      ),
    partitions
  })
}
