/**
 * Applies a broker's response to its batches: they are acknowledged, failed, or sent again in order.
 */

import * as Diagnosis from "@spillway/transport/runtime/Diagnosis"
import { failureOf } from "@spillway/transport/runtime/Failure"
import type { Metrics } from "@spillway/transport/runtime/Metrics"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { KafkaErrorCode } from "../../KafkaErrorCode.js"
import type { ProduceResponse } from "../../Protocol.js"
import type { WireError } from "../../Wire.js"
import type { Retries, Retry } from "../concurrency/retries.js"
import type { ProducerSettings } from "../settings/producerSettings.js"
import { keyOf } from "../topicPartition.js"
import * as Decisions from "./decisions.js"
import * as Numbering from "./numbering.js"
import * as PartitionQueue from "./partitionQueue.js"
import * as PendingSend from "./pendingSend.js"
import type { Completions } from "./ports.js"
import { type Answer, answersOf } from "./produceRequest.js"
import type { Readiness } from "./readiness.js"
import type { Topics } from "./topics.js"

export interface ProduceResponses {
  /** Gives the batches of a request their results, or their queues a reason to send them again. */
  readonly conclude: (batches: ReadonlyArray<PartitionQueue.Batch>, exit: Exit.Exit<ProduceResponse, WireError>) => void
  /** Pauses the queue until all batches in flight have results, a backoff has passed and its topic was looked up. */
  readonly pause: (queue: PartitionQueue.PartitionQueue, retry: PartitionQueue.Retry) => void
  /** Removes an unsent batch whose records are settled from its queue. */
  readonly drop: (batch: PartitionQueue.Batch) => void
  /** Fails all that a queue holds. */
  readonly rejectAll: (queue: PartitionQueue.PartitionQueue, failure: Decisions.Failure) => void
}

export interface Options {
  readonly topics: Topics
  readonly settings: ProducerSettings
  readonly metrics: Metrics
  readonly readiness: Readiness
  readonly run: (effect: Effect.Effect<void>) => void
  /** Milliseconds of the monotonic clock. */
  readonly now: () => number
  readonly retries: Retries
  readonly done: Completions
}

const unanswered: Decisions.Verdict = {
  _tag: "Retry",
  failure: { reason: "Broker", description: "the broker's response left the partition out" },
  unknownTopic: false
}

/** The result of a batch that the broker reported as written without its offset. */
const unplaced = { baseOffset: -1, logAppendTimeMs: -1 }

/** A duplicate whose offset the broker no longer knows is also written. */
const isWritten = (errorCode: number): boolean =>
  errorCode === KafkaErrorCode.NONE || errorCode === KafkaErrorCode.DUPLICATE_SEQUENCE_NUMBER

const verdictOf = (cause: Cause.Cause<WireError>): Decisions.Verdict =>
  Option.match(Cause.failureOption(cause), {
    onSome: Decisions.ofWireError,
    onNone: () => ({
      _tag: "Fail",
      failure: {
        reason: "Broker",
        description: "sending failed unexpectedly",
        cause: Diagnosis.carried(failureOf(cause, 1).error)
      }
    })
  })

export const make = (options: Options): ProduceResponses => {
  const { done, metrics, now, readiness, retries, run, settings, topics } = options
  /** Queues whose batches are sent again, until one is acknowledged or nothing is left to send. */
  const failing = new Map<PartitionQueue.PartitionQueue, Retry>()

  const endRetries = (queue: PartitionQueue.PartitionQueue, end: (retry: Retry) => void): void => {
    const retry = failing.get(queue)
    if (retry === undefined) return
    failing.delete(queue)
    end(retry)
  }

  const conclude = (
    batches: ReadonlyArray<PartitionQueue.Batch>,
    exit: Exit.Exit<ProduceResponse, WireError>
  ): void => {
    if (Exit.isFailure(exit)) {
      const verdict = verdictOf(exit.cause)
      for (const batch of batches) fail(batch, verdict)
      return
    }
    const answerFor = answersOf(exit.value)
    for (const batch of batches) {
      const answer = answerFor(batch)
      if (answer === undefined) fail(batch, unanswered)
      else if (isWritten(answer.errorCode)) acknowledge(batch, answer)
      else fail(batch, Decisions.ofCode(answer.errorCode))
    }
  }

  /**
   * Releases the buffer space of its records and drops them: sends and batches reference each other, so one retained
   * batch would keep every later one alive.
   */
  const end = (batch: PartitionQueue.Batch): void => {
    PartitionQueue.remove(batch)
    done.ended(batch)
    PartitionQueue.clear(batch)
  }

  const drop = (batch: PartitionQueue.Batch): void => {
    PartitionQueue.reject(batch)
    end(batch)
  }

  const reject = (batch: PartitionQueue.Batch, reason: Decisions.Failure): void => {
    const { entries } = batch
    // An aborted transaction isn't visible, even if some of it was written.
    const isInDoubt = Numbering.mayBeWritten(batch) && readiness.transactionalId === null
    const failure = isInDoubt ? Decisions.inDoubt(reason) : reason
    drop(batch)
    for (const entry of entries) PendingSend.reject(entry, failure)
    done.failed(failure)
  }

  const rejectAll = (queue: PartitionQueue.PartitionQueue, failure: Decisions.Failure): void => {
    for (const batch of [...queue.batches]) reject(batch, failure)
    endRetries(queue, (retry) => retry.dropped())
  }

  const acknowledge = (batch: PartitionQueue.Batch, answer: Answer): void => {
    const { queue } = batch
    for (const written of PartitionQueue.acknowledged(batch)) confirm(written, written === batch ? answer : unplaced)
    if (failing.size > 0) endRetries(queue, (retry) => run(retry.succeeded))
    if (queue.retrying !== undefined) pause(queue, queue.retrying)
  }

  const confirm = (
    batch: PartitionQueue.Batch,
    { baseOffset, logAppendTimeMs }: Pick<Answer, "baseOffset" | "logAppendTimeMs">
  ): void => {
    const { entries, queue } = batch
    const { partition, topic } = queue
    end(batch)
    const counted = metrics.producer({ topic })
    counted.sent(entries.length)
    const at = metrics.enabled ? now() : 0
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[i]!
      if (metrics.enabled) counted.publishDuration((at - entry.send.acceptedAt) / 1_000)
      const timestamp = logAppendTimeMs >= 0 ? logAppendTimeMs : entry.record.timestamp
      PendingSend.acknowledge(entry, { topic, partition, offset: baseOffset < 0 ? -1 : baseOffset + i, timestamp })
    }
  }

  const fail = (batch: PartitionQueue.Batch, verdict: Decisions.Verdict): void => {
    const { queue } = batch
    const reaction = PartitionQueue.failed(batch, verdict, readiness.transactionalId !== null)
    if (reaction._tag === "Pause") {
      pause(queue, reaction.retry)
      return
    }
    if (reaction._tag === "Reject") for (const one of reaction.batches) reject(one, reaction.failure)
    if (reaction._tag === "Written") confirm(batch, unplaced)
    if (queue.retrying === undefined) PartitionQueue.recovered(queue)
    else pause(queue, queue.retrying)
  }

  const pause = (queue: PartitionQueue.PartitionQueue, reason: PartitionQueue.Retry): void => {
    const { failure } = reason
    const paused = PartitionQueue.pause(queue, reason, now(), settings.unknownTopicTimeoutMs)
    if (paused === "Waiting") return
    if (paused === "GivenUp") {
      // If the topic is gone, queued batches needn't wait for the same answer.
      rejectAll(queue, failure)
      PartitionQueue.recovered(queue)
      PartitionQueue.resume(queue)
      return
    }
    for (const { send } of queue.batches[0]?.entries ?? []) PendingSend.retrying(send, failure)
    const retry = failing.get(queue) ?? retries.of("Produce", keyOf(queue))
    failing.set(queue, retry)
    run(
      retry.failed(failure.description, queue.batches[0]?.entries[0]?.send.acceptedAt).pipe(
        Effect.zipRight(queue.backoff.next),
        Effect.zipRight(Effect.exit(topics.refresh(queue.topic))),
        Effect.zipRight(
          Effect.sync(() => {
            PartitionQueue.resume(queue)
            if (queue.batches.length === 0) endRetries(queue, (retry) => retry.dropped())
            done.resumed(queue)
          })
        )
      )
    )
  }

  return { conclude, pause, drop, rejectAll }
}
