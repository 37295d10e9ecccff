import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import * as MetricKey from "effect/MetricKey"
import type * as MetricKeyType from "effect/MetricKeyType"
import * as MetricLabel from "effect/MetricLabel"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { ConsumerMetrics, Metrics, ProducerMetrics } from "../TransportMetrics.js"

const ignore = (): void => {}

const consumerOff: ConsumerMetrics = {
  received: ignore,
  processed: ignore,
  processingDuration: ignore,
  retried: ignore,
  deadLettered: ignore
}

const producerOff: ProducerMetrics = { sent: ignore, publishDuration: ignore }

export const off: Metrics = {
  enabled: false,
  consumer: () => consumerOff,
  producer: () => producerOff,
  activeConsumer: Effect.void,
  activeProducer: Effect.void
}

// One object for all: Effect compares the boundaries of two histogram keys by identity.
const durationBoundaries = MetricBoundaries.fromIterable([
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10
])

type Labels = ReadonlyArray<readonly [name: string, value: string]>

const noTags: ReadonlyArray<MetricLabel.MetricLabel> = []

/** Registers the series at once and returns its update, bound to the cached hook. */
const register = <Type extends MetricKeyType.MetricKeyType<number, unknown>>(
  key: MetricKey.MetricKey<Type>,
  labels: Labels
) => {
  const tagged = MetricKey.taggedWithLabels(
    key,
    labels.map(([name, value]) => MetricLabel.make(name, value))
  )
  const metric = Metric.fromMetricKey(tagged)
  metric.unsafeValue(noTags)
  return metric
}

const counter = (name: string, description: string) => {
  const key = MetricKey.counter(name, { description, incremental: true })
  return (labels: Labels) => {
    const metric = register(key, labels)
    return (n: number): void => metric.unsafeUpdate(n, noTags)
  }
}

const histogram = (name: string, description: string) => {
  const key = MetricKey.histogram(name, durationBoundaries, description)
  return (labels: Labels) => {
    const metric = register(key, labels)
    return (seconds: number): void => metric.unsafeUpdate(seconds, noTags)
  }
}

const gauge = (name: string, description: string) => register(MetricKey.gauge(name, { description }), [])

const active = (name: string, description: string): Effect.Effect<void, never, Scope.Scope> => {
  const metric = gauge(name, description)
  return Effect.acquireRelease(
    Effect.sync(() => metric.unsafeModify(1, noTags)),
    () => Effect.sync(() => metric.unsafeModify(-1, noTags))
  )
}

/** Caches by the labels' values; topics and groups hold no NUL. */
const memoize = <A>(create: (...labels: ReadonlyArray<string>) => A): ((...labels: ReadonlyArray<string>) => A) => {
  const cache = new Map<string, A>()
  return (...labels) => {
    const key = labels.join("\0")
    let value = cache.get(key)
    if (value === undefined) {
      value = create(...labels)
      cache.set(key, value)
    }
    return value
  }
}

const consumerMetrics = (service: string): Metrics["consumer"] => {
  const received = counter(`${service}_messages_received_total`, "Records fetched for handling")
  const processed = counter(`${service}_messages_processed_total`, "Records with an outcome, by status")
  const duration = histogram(`${service}_message_processing_duration_seconds`, "Duration of one attempt at a record")
  const retried = counter(`${service}_retry_attempts_total`, "Attempts after a record's first")
  const deadLettered = counter(`${service}_dlq_messages_total`, "Dead letters acknowledged by the broker")
  const create = memoize((topic, group): ConsumerMetrics => {
    const labels = [
      ["topic", topic!],
      ["group", group!]
    ] as const
    const success = processed([...labels, ["status", "success"]])
    const error = processed([...labels, ["status", "error"]])
    return {
      received: received(labels),
      processed: (status, n) => (status === "success" ? success(n) : error(n)),
      processingDuration: duration(labels),
      retried: retried(labels),
      deadLettered: deadLettered(labels)
    }
  })
  return ({ topic, groupId }) => create(topic, groupId)
}

const producerMetrics = (service: string): Metrics["producer"] => {
  const sent = counter(`${service}_messages_sent_total`, "Records acknowledged by the broker")
  const duration = histogram(`${service}_message_publish_duration_seconds`, "Time from send to acknowledgement")
  const create = memoize((topic): ProducerMetrics => {
    const labels = [["topic", topic!]] as const
    return { sent: sent(labels), publishDuration: duration(labels) }
  })
  return ({ topic }) => create(topic)
}

const uptime = Effect.fnUntraced(function* (name: string) {
  const metric = gauge(name, "Seconds since the service started")
  const startedAt = yield* Clock.currentTimeNanos
  const update = Effect.map(Clock.currentTimeNanos, (now) =>
    metric.unsafeUpdate(Number((now - startedAt) / 1_000_000n) / 1_000, noTags)
  )
  yield* update
  yield* Effect.forkScoped(Effect.repeat(update, Schedule.spaced("1 second")))
})

export const make = (service: string): Effect.Effect<Metrics, never, Scope.Scope> =>
  Effect.as(uptime(`${service}_uptime_seconds`), {
    enabled: true,
    consumer: consumerMetrics(service),
    producer: producerMetrics(service),
    activeConsumer: active(`${service}_active_consumers`, "Consumers that are open"),
    activeProducer: active(`${service}_active_producers`, "Producers that are open")
  })
