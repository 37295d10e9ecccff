/**
 * What becomes of batches by their broker's answer: acknowledged, failed, or sent again in their order.
 */

import * as Diagnosis from "@spillway/transport/Diagnosis"
import * as HandlerError from "@spillway/transport/HandlerError"
import type { Metrics } from "@spillway/transport/TransportMetrics"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { KafkaErrorCode } from "../../KafkaErrorCode.js"
import type { ProduceResponse } from "../../Protocol.js"
import * as RecordBatch from "../../RecordBatch.js"
import type { WireError } from "../../Wire.js"
import type { Retries, Retry } from "../concurrency/retries.js"
import type { ProducerSettings } from "../settings/producerSettings.js"
import { keyOf } from "../topicPartition.js"
import * as Failure from "./decisions.js"
import * as Lane from "./partitionQueue.js"
import * as Call from "./pendingSend.js"
import { type Answer, answersOf } from "./produceRequest.js"
import type { Admission } from "./readiness.js"
import type { Topics } from "./topics.js"

export interface Outcome {
  /** Gives the batches of a request their results, or their lanes a reason to send them again. */
  readonly conclude: (batches: ReadonlyArray<Lane.Batch>, exit: Exit.Exit<ProduceResponse, WireError>) => void
  /** Sends nothing of the lane until all that is in flight has come back, the cluster was looked at anew, and a while. */
  readonly trouble: (lane: Lane.Lane, verdict: NonNullable<Lane.Lane["trouble"]>) => void
  /** Takes a batch that nobody waits for, or whose records have their results, out of its lane. */
  readonly end: (batch: Lane.Batch) => void
  /** Fails all that a lane holds. */
  readonly rejectAll: (lane: Lane.Lane, failure: Failure.Failure) => void
}

export interface Options {
  readonly topics: Topics
  readonly settings: ProducerSettings
  readonly metrics: Metrics
  readonly admission: () => Admission
  readonly run: (effect: Effect.Effect<void>) => void
  /** Milliseconds of the monotonic clock. */
  readonly now: () => number
  readonly retries: Retries
  /** A batch has its results. */
  readonly onDone: (batch: Lane.Batch) => void
  /** A lane's trouble is over. */
  readonly onRecovered: (lane: Lane.Lane) => void
}

const unanswered: Failure.Verdict = {
  _tag: "Retry",
  failure: { reason: "Broker", description: "the broker's response left the partition out" },
  unknownTopic: false
}

/** A duplicate that the broker knows no place of is written, too. */
const isWritten = (errorCode: number): boolean =>
  errorCode === KafkaErrorCode.NONE || errorCode === KafkaErrorCode.DUPLICATE_SEQUENCE_NUMBER

const verdictOf = (cause: Cause.Cause<WireError>): Failure.Verdict =>
  Option.match(Cause.failureOption(cause), {
    onSome: Failure.ofWireError,
    onNone: () => ({
      _tag: "Fail",
      failure: {
        reason: "Broker",
        description: "sending failed unexpectedly",
        cause: Diagnosis.carried(HandlerError.failureOf(cause, 1).error)
      }
    })
  })

export const make = (options: Options): Outcome => {
  const { admission, metrics, now, onDone, onRecovered, retries, run, settings, topics } = options
  /** Lanes whose batches are sent again, until one is acknowledged or nothing is left to send. */
  const failing = new Map<Lane.Lane, Retry>()

  const endRetries = (lane: Lane.Lane, end: (retry: Retry) => void): void => {
    const retry = failing.get(lane)
    if (retry === undefined) return
    failing.delete(lane)
    end(retry)
  }

  const conclude = (batches: ReadonlyArray<Lane.Batch>, exit: Exit.Exit<ProduceResponse, WireError>): void => {
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
      else fail(batch, Failure.ofCode(answer.errorCode))
    }
  }

  /**
   * Its records hold no room any more, and it doesn't hold them: calls and batches refer to each other, so that one that
   * is still held would hold all that came after it.
   */
  const end = (batch: Lane.Batch): void => {
    Lane.remove(batch)
    onDone(batch)
    batch.entries = []
  }

  const reject = (batch: Lane.Batch, failure: Failure.Failure): void => {
    const { entries } = batch
    Lane.skip(batch)
    end(batch)
    for (const entry of entries) Call.reject(entry, failure)
    admission().onFailed(failure)
  }

  const rejectAll = (lane: Lane.Lane, failure: Failure.Failure): void => {
    for (const batch of [...lane.batches]) reject(batch, failure)
    endRetries(lane, (retry) => retry.dropped())
  }

  const acknowledge = (batch: Lane.Batch, answer: Answer): void => {
    const { lane } = batch
    Lane.land(batch)
    // Brokers write in sequence: what was sent before it is written too, wherever.
    for (const earlier of lane.batches.slice(0, lane.probing)) confirm(earlier, { baseOffset: -1, logAppendTimeMs: -1 })
    lane.probing = 0
    confirm(batch, answer)
    Lane.recovered(lane)
    if (failing.size > 0) endRetries(lane, (retry) => run(retry.succeeded))
    if (lane.sequence?.isEstablished === false) lane.sequence = { ...lane.sequence, isEstablished: true }
    if (lane.trouble !== undefined) trouble(lane, lane.trouble)
  }

  const confirm = (
    batch: Lane.Batch,
    { baseOffset, logAppendTimeMs }: Pick<Answer, "baseOffset" | "logAppendTimeMs">
  ): void => {
    const { entries, lane } = batch
    const { partition, topic } = lane
    end(batch)
    const counted = metrics.producer({ topic })
    counted.sent(entries.length)
    const at = metrics.enabled ? now() : 0
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[i]!
      if (metrics.enabled) counted.publishDuration((at - entry.call.acceptedAt) / 1_000)
      const timestamp = logAppendTimeMs >= 0 ? logAppendTimeMs : entry.record.timestamp
      Call.acknowledge(entry, { topic, partition, offset: baseOffset < 0 ? -1 : baseOffset + i, timestamp })
    }
  }

  const fail = (batch: Lane.Batch, verdict: Failure.Verdict): void => {
    const { lane } = batch
    Lane.land(batch)
    switch (verdict._tag) {
      case "Retry":
        trouble(lane, verdict)
        return
      case "OutOfOrder":
        if (lane.batches[0] === batch && admission().transactionalId !== null) {
          reject(batch, verdict.failure)
          break
        }
        Lane.refuse(batch)
        trouble(lane, { _tag: "Retry", failure: verdict.failure, unknownTopic: false })
        return
      case "TooLarge":
        lane.maxBytes = Math.min(lane.maxBytes, Math.max(RecordBatch.batchOverhead, Math.ceil(batch.bytes / 2)))
        if (!Lane.split(batch)) reject(batch, verdict.failure)
        break
      case "BadRecord":
        if (!Lane.split(batch)) reject(batch, verdict.failure)
        break
      case "Fail":
        if (verdict.failure.reason === "Fenced") Lane.fence(lane)
        reject(batch, verdict.failure)
    }
    if (lane.trouble === undefined) Lane.recovered(lane)
    else trouble(lane, lane.trouble)
  }

  const trouble = (lane: Lane.Lane, verdict: NonNullable<Lane.Lane["trouble"]>): void => {
    lane.trouble = verdict
    if (lane.inFlight > 0) return
    const { failure, unknownTopic } = verdict
    lane.unknownSince = unknownTopic ? (lane.unknownSince ?? now()) : undefined
    if (lane.unknownSince !== undefined && now() - lane.unknownSince >= settings.unknownTopicTimeoutMs) {
      // Where the topic is gone, what is queued needn't wait for the same answer.
      rejectAll(lane, failure)
      Lane.recovered(lane)
      lane.trouble = undefined
      return
    }
    for (const entry of lane.batches[0]?.entries ?? []) entry.call.trouble = failure
    const retry = failing.get(lane) ?? retries.of("Produce", keyOf(lane))
    failing.set(lane, retry)
    run(
      retry.failed(failure.description, lane.batches[0]?.entries[0]?.call.acceptedAt).pipe(
        Effect.zipRight(lane.backoff.next),
        Effect.zipRight(Effect.exit(topics.refresh(lane.topic))),
        Effect.zipRight(
          Effect.sync(() => {
            lane.trouble = undefined
            if (lane.batches.length === 0) endRetries(lane, (retry) => retry.dropped())
            onRecovered(lane)
          })
        )
      )
    )
  }

  return { conclude, trouble, end, rejectAll }
}
