import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { ConsumerMetrics, GroupMetrics, Metrics, ProducerMetrics } from "../runtime/Metrics.js"
import * as ConsumerGauges from "./consumerGauges.js"
import * as ErrorClasses from "./errorClasses.js"
import { counter, gauge, histogram, memoize } from "./metricSeries.js"

const ignore = (): void => {}

const consumerOff: ConsumerMetrics = {
  received: ignore,
  processed: ignore,
  processingDuration: ignore,
  failed: ignore,
  retried: ignore,
  deadLettered: ignore,
  deadLetterFailed: ignore,
  offsetReset: ignore,
  skipped: ignore
}

const groupOff: GroupMetrics = { rebalanced: ignore, committed: ignore, commitFailed: ignore }

const producerOff: ProducerMetrics = { sent: ignore, publishDuration: ignore, abandoned: ignore }

export const off: Metrics = {
  enabled: false,
  consumer: () => consumerOff,
  group: () => groupOff,
  producer: () => producerOff,
  observeConsumer: () => Effect.void,
  activeConsumer: Effect.void,
  activeProducer: Effect.void
}

const active = (name: string, description: string): Effect.Effect<void, never, Scope.Scope> => {
  const { modify } = gauge(name, description)([])
  return Effect.acquireRelease(
    Effect.sync(() => modify(1)),
    () => Effect.sync(() => modify(-1))
  )
}

/** Error classes with a series of their own; later ones count as `other`. */
const maxErrorClasses = 50

const consumerMetrics = (service: string): Metrics["consumer"] => {
  const received = counter(`${service}_messages_received_total`, "Records fetched for handling")
  const processed = counter(`${service}_messages_processed_total`, "Records with an outcome, by status")
  const duration = histogram(
    `${service}_message_processing_duration_seconds`,
    "Duration of one attempt to handle a record"
  )
  const failed = counter(`${service}_handler_failures_total`, "Attempts that failed, by error class")
  const classOf = ErrorClasses.make(maxErrorClasses)
  const retried = counter(`${service}_retry_attempts_total`, "Attempts after a record's first")
  const deadLettered = counter(`${service}_dlq_messages_total`, "Dead letters acknowledged by the broker")
  const deadLetterFailed = counter(`${service}_dlq_publish_failures_total`, "Failed attempts to publish a dead letter")
  const offsetReset = counter(`${service}_offset_resets_total`, "Resets after an offset was out of range")
  const skippedBatches = counter(`${service}_skipped_batches_total`, "Corrupt batches skipped")
  const skippedOffsets = counter(`${service}_skipped_offsets_total`, "Offsets of corrupt batches skipped")
  const create = memoize((topic, group): ConsumerMetrics => {
    const labels = [
      ["topic", topic!],
      ["group", group!]
    ] as const
    const success = processed([...labels, ["status", "success"]])
    const error = processed([...labels, ["status", "error"]])
    const failedBy = memoize((name) => failed([...labels, ["error", name!]]))
    const countReset = offsetReset(labels)
    const batches = skippedBatches(labels)
    const offsets = skippedOffsets(labels)
    return {
      received: received(labels),
      processed: (status, n) => (status === "success" ? success(n) : error(n)),
      processingDuration: duration(labels),
      failed: (error) => failedBy(classOf(error))(1),
      retried: retried(labels),
      deadLettered: deadLettered(labels),
      deadLetterFailed: deadLetterFailed(labels),
      offsetReset: () => countReset(1),
      skipped: (n) => {
        batches(1)
        offsets(n)
      }
    }
  })
  return ({ topic, groupId }) => create(topic, groupId)
}

const groupMetrics = (service: string): Metrics["group"] => {
  const rebalances = counter(`${service}_rebalances_total`, "Generations of the group joined")
  const commits = counter(`${service}_commits_total`, "Commits sent, by status")
  const duration = histogram(`${service}_commit_duration_seconds`, "Time from a commit to its acknowledgement")
  const create = memoize((group): GroupMetrics => {
    const labels = [["group", group!]] as const
    const rebalanced = rebalances(labels)
    const success = commits([...labels, ["status", "success"]])
    const error = commits([...labels, ["status", "error"]])
    const observe = duration(labels)
    return {
      rebalanced: () => rebalanced(1),
      committed: (seconds) => {
        success(1)
        observe(seconds)
      },
      commitFailed: () => error(1)
    }
  })
  return ({ groupId }) => create(groupId)
}

const producerMetrics = (service: string): Metrics["producer"] => {
  const sent = counter(`${service}_messages_sent_total`, "Records acknowledged by the broker")
  const duration = histogram(`${service}_message_publish_duration_seconds`, "Time from send to acknowledgement")
  const abandoned = counter(
    `${service}_messages_abandoned_total`,
    "Records whose send was interrupted after they had left"
  )
  const create = memoize((topic): ProducerMetrics => {
    const labels = [["topic", topic!]] as const
    return { sent: sent(labels), publishDuration: duration(labels), abandoned: abandoned(labels) }
  })
  return ({ topic }) => create(topic)
}

const uptime = Effect.fnUntraced(function* (name: string) {
  const metric = gauge(name, "Seconds since the service started")([])
  const startedAt = yield* Clock.currentTimeNanos
  const update = Effect.map(Clock.currentTimeNanos, (now) =>
    metric.update(Number((now - startedAt) / 1_000_000n) / 1_000)
  )
  yield* update
  yield* Effect.forkScoped(Effect.repeat(update, Schedule.spaced("1 second")))
})

export const make = (service: string): Effect.Effect<Metrics, never, Scope.Scope> =>
  Effect.as(uptime(`${service}_uptime_seconds`), {
    enabled: true,
    consumer: consumerMetrics(service),
    group: groupMetrics(service),
    producer: producerMetrics(service),
    observeConsumer: ConsumerGauges.make(service),
    activeConsumer: active(`${service}_active_consumers`, "Consumers that are open"),
    activeProducer: active(`${service}_active_producers`, "Producers that are open")
  })
