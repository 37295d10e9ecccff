/**
 * The partitions of a transaction: each is added at the coordinator before its first batch is sent, many in one
 * request.
 */
import * as Effect from "effect/Effect"
import { KafkaErrorCode as Code } from "../../KafkaErrorCode.js"
import type { Failure } from "../producer/decisions.js"
import type { PartitionQueue } from "../producer/partitionQueue.js"
import type { Transmit } from "../producer/ports.js"
import type { ProducerIdAndEpoch } from "../producer/sequence.js"
import { byTopic } from "../topicPartition.js"
import type { Coordinator, Refusal } from "./coordinator.js"
import * as Decisions from "./decisions.js"

export interface Partitions {
  /** Whether the queue's partition has been added; if not, it will be, and the queue is woken. */
  readonly has: (queue: PartitionQueue) => boolean
  /** Adds no further partitions. */
  readonly end: () => void
}

export interface Options {
  readonly coordinator: Coordinator
  readonly transactionalId: string
  readonly identity: ProducerIdAndEpoch
  readonly run: (effect: Effect.Effect<void>) => void
  readonly now: () => number
  readonly unknownTopicTimeoutMs: number
  readonly transmit: Transmit
  /** Called before each request is sent. */
  readonly onSent: () => void
  readonly onRefused: (refusal: Refusal) => void
}

/** A partition that doesn't exist fails its whole request. */
const unknown: Failure = {
  reason: "UnknownTopic",
  description: "the transaction's coordinator doesn't know the partition"
}

export const make = (options: Options): Partitions => {
  const { coordinator, transmit, identity, now, onRefused, onSent, run, transactionalId, unknownTopicTimeoutMs } =
    options
  const announced = new Set<PartitionQueue>()
  const waiting = new Set<PartitionQueue>()
  let isAnnouncing = false
  let isOver = false
  let unknownSince: number | undefined

  const announce = Effect.gen(function* () {
    while (waiting.size > 0 && !isOver) {
      // Queues that are woken in the same turn share the request.
      yield* Effect.yieldNow()
      let asked: ReadonlyArray<PartitionQueue> = []
      let missing: ReadonlyArray<PartitionQueue> = []
      yield* coordinator.ask({
        api: "AddPartitionsToTxn",
        onSent,
        request: () => {
          asked = Array.from(waiting)
          return {
            transactionalId,
            producerId: identity.producerId,
            producerEpoch: identity.producerEpoch,
            topics: Array.from(byTopic(asked), ([topic, partitions]) => ({ topic, partitions }))
          }
        },
        codeOf: ({ topics }) => {
          const answers = topics.flatMap(({ partitions, topic }) => partitions.map((one) => ({ topic, ...one })))
          missing = asked.filter((queue) =>
            answers.some(
              ({ errorCode, partition, topic }) =>
                errorCode === Code.UNKNOWN_TOPIC_OR_PARTITION && topic === queue.topic && partition === queue.partition
            )
          )
          const codes = answers.map(({ errorCode }) => errorCode).filter((code) => code !== Code.NONE)
          // The others were only not attempted.
          return codes.find((code) => code !== Code.OPERATION_NOT_ATTEMPTED) ?? codes[0] ?? Code.NONE
        },
        react: (code) => {
          if (isOver) return { _tag: "Ok" }
          if (code !== Code.UNKNOWN_TOPIC_OR_PARTITION) {
            unknownSince = undefined
            return Decisions.onCode(code)
          }
          unknownSince ??= now()
          return now() - unknownSince >= unknownTopicTimeoutMs ? { _tag: "Ok" } : { _tag: "Retry" }
        }
      })
      if (isOver) return
      for (const queue of missing) {
        waiting.delete(queue)
        transmit.rejectAll(queue, unknown)
      }
      if (missing.length > 0) continue
      for (const queue of asked) {
        waiting.delete(queue)
        announced.add(queue)
      }
      transmit.wake(asked)
    }
  }).pipe(
    Effect.catchAll((refusal) =>
      Effect.sync(() => {
        if (!isOver) onRefused(refusal)
      })
    ),
    Effect.ensuring(
      Effect.sync(() => {
        isAnnouncing = false
      })
    )
  )

  return {
    has: (queue) => {
      if (announced.has(queue)) return true
      waiting.add(queue)
      if (!isAnnouncing) {
        isAnnouncing = true
        run(announce)
      }
      return false
    },
    end: () => {
      isOver = true
    }
  }
}
