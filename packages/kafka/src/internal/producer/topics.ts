/**
 * A producer's knowledge of its topics: looked up at first use, after failures, and at intervals.
 */
import * as Completion from "@spillway/transport/runtime/Completion"
import * as Effect from "effect/Effect"
import { KafkaErrorCode } from "../../KafkaErrorCode.js"
import type { TopicMetadata } from "../../Protocol.js"
import type { WireError } from "../../Wire.js"
import type { Cluster } from "../cluster/cluster.js"
import * as Backoff from "../concurrency/backoff.js"
import { howToCreate } from "../howToCreate.js"
import * as Decisions from "./decisions.js"

export interface Topics {
  /** The known state of a topic. If it is old, the topic is looked up again in the background. */
  readonly known: (topic: string) => TopicMetadata | undefined
  /** Requests a topic's metadata now, or joins a pending request for it. */
  readonly refresh: (topic: string) => Effect.Effect<TopicMetadata, WireError>
  /**
   * Repeats the request until the topic is known, without a limit, or until it has been unknown to the cluster for
   * `unknownTopicMs`. It reports failures to `onRetry`, which decides whether to continue.
   */
  readonly lookup: (
    topic: string,
    unknownTopicMs: number,
    onRetry: (failure: Decisions.Failure) => boolean
  ) => Effect.Effect<TopicMetadata, Decisions.Failure>
  /** Whether calls wait for the topic: later ones must queue behind them. */
  readonly isAwaited: (topic: string) => boolean
  /** Looks a topic up once for all waiting sends, and ends their waits in order. */
  readonly await: (topic: string, waiter: Waiter) => void
}

export interface Waiter {
  /** The waiting send has ended. */
  readonly isOver: () => boolean
  readonly onRetry: (failure: Decisions.Failure) => void
  /** Called with a failure, or without one when the topic is known. */
  readonly onEnd: (failure: Decisions.Failure | undefined) => void
}

export interface Options {
  readonly cluster: Cluster
  readonly run: (effect: Effect.Effect<void>) => void
  readonly now: () => number
  readonly maxAgeMs: number
  readonly unknownTopicTimeoutMs: number
  /** Whether an unused topic has no pending records left. */
  readonly mayForget: (topic: string) => boolean
}

export const make = ({ cluster, mayForget, maxAgeMs, now, run, unknownTopicTimeoutMs }: Options): Topics => {
  const refreshing = new Map<string, Completion.Result<TopicMetadata, WireError>>()
  const refreshedAt = new Map<string, number>()
  const awaited = new Map<string, Array<Waiter>>()
  /** Topics that were used since unused ones were last forgotten. */
  const used = new Set<string>()
  let forgetsAt = now() + maxAgeMs

  /** Forgets topics that weren't used for a while: memory must not grow with the number of topics ever used. */
  const forgetUnused = (at: number): void => {
    if (at < forgetsAt) return
    forgetsAt = at + maxAgeMs
    for (const topic of refreshedAt.keys()) {
      if (used.has(topic) || refreshing.has(topic) || awaited.has(topic) || !mayForget(topic)) continue
      refreshedAt.delete(topic)
      cluster.forgetTopic(topic)
    }
    used.clear()
  }

  const use = (topic: string): number => {
    const at = now()
    used.add(topic)
    forgetUnused(at)
    return at
  }

  const start = (topic: string) => {
    const answer = Completion.make<TopicMetadata, WireError>()
    refreshing.set(topic, answer)
    refreshedAt.set(topic, use(topic))
    run(
      cluster.refresh([topic]).pipe(
        Effect.map(
          ([metadata]): TopicMetadata =>
            metadata ?? {
              topic,
              topicId: "",
              errorCode: KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
              isInternal: false,
              partitions: []
            }
        ),
        Effect.exit,
        Effect.flatMap((exit) =>
          Effect.sync(() => {
            refreshing.delete(topic)
            answer.done(exit)
          })
        )
      )
    )
    return answer
  }

  const refresh = (topic: string) => Effect.suspend(() => (refreshing.get(topic) ?? start(topic)).wait)

  const lookup: Topics["lookup"] = (topic, unknownTopicMs, onRetry) =>
    cluster.retries.during(
      "Metadata",
      topic,
      Effect.fnUntraced(function* (retry) {
        const backoff = Backoff.make()
        const startedAt = now()
        while (true) {
          const answer = yield* Effect.either(refresh(topic))
          if (answer._tag === "Right" && answer.right.errorCode === KafkaErrorCode.NONE) return answer.right
          const verdict =
            answer._tag === "Left" ? Decisions.ofWireError(answer.left) : Decisions.ofCode(answer.right.errorCode)
          if (verdict._tag !== "Retry") return yield* Effect.fail(verdict.failure)
          if (verdict.unknownTopic && now() - startedAt >= unknownTopicMs) {
            const description = `${verdict.failure.description}: ${howToCreate(topic)}`
            return yield* Effect.fail({ ...verdict.failure, description })
          }
          if (!onRetry(verdict.failure)) return yield* Effect.fail(verdict.failure)
          yield* retry.failed(verdict.failure.description)
          yield* backoff.next
        }
      })
    )

  const awaitKnown: Topics["await"] = (topic, waiter) => {
    const others = awaited.get(topic)
    if (others !== undefined) {
      others.push(waiter)
      return
    }
    const waiters = [waiter]
    awaited.set(topic, waiters)
    const end = (failure: Decisions.Failure | undefined) =>
      Effect.sync(() => {
        awaited.delete(topic)
        for (const { onEnd } of waiters) onEnd(failure)
      })
    const looked = lookup(topic, unknownTopicTimeoutMs, (failure) => {
      for (const { onRetry } of waiters) onRetry(failure)
      return waiters.some(({ isOver }) => !isOver())
    })
    run(Effect.matchEffect(looked, { onFailure: end, onSuccess: () => end(undefined) }))
  }

  return {
    isAwaited: (topic) => awaited.has(topic),
    await: awaitKnown,
    known: (topic) => {
      const at = use(topic)
      const metadata = cluster.topic(topic)
      if (metadata !== undefined && !refreshing.has(topic) && at - (refreshedAt.get(topic) ?? 0) > maxAgeMs) {
        start(topic)
      }
      return metadata
    },
    refresh,
    lookup
  }
}
