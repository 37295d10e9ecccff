/**
 * The producer id that makes sends idempotent (KIP-98): requested at the first send, and again when it is used up.
 */
import * as Effect from "effect/Effect"
import { KafkaErrorCode } from "../../KafkaErrorCode.js"
import type { InitProducerIdResponse } from "../../Protocol.js"
import type { WireError } from "../../Wire.js"
import type { Cluster } from "../cluster/cluster.js"
import * as Backoff from "../concurrency/backoff.js"
import * as Decisions from "./decisions.js"
import type { ProducerIdAndEpoch } from "./sequence.js"
import * as Sequence from "./sequence.js"

export interface ProducerIds {
  readonly current: () => ProducerIdAndEpoch | undefined
  /** Requests a producer id; calls back when it has one, or with the reason for the failure. */
  readonly request: (onEnd: (failure: Decisions.Failure | undefined) => void) => void
  /** Invalidates an identity: the next queue that needs one requests another. */
  readonly retire: (producerId: bigint) => void
  /**
   * A partition's sequence is forgotten. Later sequences start under a later epoch; otherwise the broker, which
   * remembers it, would take their first batches for duplicates.
   */
  readonly forget: (sequence: Sequence.Sequence) => void
}

export interface Options {
  readonly cluster: Cluster
  readonly run: (effect: Effect.Effect<void>) => void
  readonly onRetry: (failure: Decisions.Failure) => void
}

const loading = new Set<number>([
  KafkaErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
  KafkaErrorCode.COORDINATOR_NOT_AVAILABLE,
  KafkaErrorCode.NOT_COORDINATOR
])

const verdictOf = (answer: Effect.Effect.Success<ReturnType<typeof ask>>): Decisions.Verdict => {
  if (answer._tag === "Left") return Decisions.ofWireError(answer.left)
  const { errorCode } = answer.right
  if (loading.has(errorCode)) return Decisions.ofCode(KafkaErrorCode.BROKER_NOT_AVAILABLE)
  const verdict = Decisions.ofCode(errorCode)
  if (verdict.failure.reason !== "Authorization") return verdict
  const description = `${verdict.failure.description}: idempotence needs the operation IdempotentWrite on the cluster, or set idempotent: false`
  return { _tag: "Fail", failure: { ...verdict.failure, description } }
}

const ask = (
  cluster: Cluster
): Effect.Effect<
  | { readonly _tag: "Left"; readonly left: WireError }
  | { readonly _tag: "Right"; readonly right: InitProducerIdResponse }
> =>
  Effect.either(
    cluster.requestAny("data", "InitProducerId", { transactionalId: null, transactionTimeoutMs: 0x7fffffff })
  )

export const make = ({ cluster, onRetry, run }: Options): ProducerIds => {
  let identity: ProducerIdAndEpoch | undefined
  let waiting: Array<(failure: Decisions.Failure | undefined) => void> = []

  // Another cluster may have given the same id to another producer.
  cluster.onMove(() => {
    identity = undefined
  })

  const end = (failure: Decisions.Failure | undefined): void => {
    const ended = waiting
    waiting = []
    for (const onEnd of ended) onEnd(failure)
  }

  const obtain = cluster.retries.during(
    "InitProducerId",
    "",
    Effect.fnUntraced(function* (retry) {
      const backoff = Backoff.make()
      while (true) {
        const moves = cluster.moves()
        const answer = yield* ask(cluster)
        if (moves !== cluster.moves()) continue
        if (answer._tag === "Right" && answer.right.errorCode === KafkaErrorCode.NONE) {
          const { producerEpoch, producerId } = answer.right
          identity = { producerId, producerEpoch, isTransactional: false }
          return end(undefined)
        }
        const verdict = verdictOf(answer)
        if (verdict._tag !== "Retry") {
          retry.dropped()
          return end(verdict.failure)
        }
        onRetry(verdict.failure)
        yield* retry.failed(verdict.failure.description)
        yield* backoff.next
      }
    })
  )

  return {
    current: () => identity,
    request: (onEnd) => {
      waiting.push(onEnd)
      if (waiting.length === 1) run(obtain)
    },
    retire: (producerId) => {
      if (identity?.producerId === producerId) identity = undefined
    },
    forget: (sequence) => {
      if (identity?.producerId !== sequence.producerId || identity.producerEpoch > sequence.producerEpoch) return
      identity = Sequence.beginAnew(sequence)
    }
  }
}
