/**
 * The gauges of a consumer's snapshots, updated once a second while the consumer is open.
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { CircuitBreakerState } from "../CircuitBreaker.js"
import type { ConsumerStatus } from "../Consumer.js"
import type { ConsumerSnapshot, PartitionSnapshot } from "../runtime/ConsumerSnapshot.js"
import type { Metrics } from "../runtime/Metrics.js"
import * as Monotonic from "../runtime/Monotonic.js"
import * as MetricSeries from "./metricSeries.js"

const statuses: ReadonlyArray<ConsumerStatus> = ["Starting", "Running", "Paused", "Draining", "Stopped", "Failed"]

const breakerValues: Readonly<Record<CircuitBreakerState, number>> = { closed: 0, halfOpen: 1, open: 2 }

/** A series that consumers of one group in this process may share: it shows their combined value. */
interface Series {
  readonly show: (owner: object, value: number) => void
}

const sum = (values: Iterable<number>): number => Array.from(values).reduce((total, value) => total + value, 0)
const highest = (values: Iterable<number>): number => Math.max(0, ...values)

const series = (gauge: MetricSeries.Gauge, combine: (values: Iterable<number>) => number): Series => {
  const parts = new Map<object, number>()
  return {
    show: (owner, value) => {
      if (value === 0) parts.delete(owner)
      else parts.set(owner, value)
      gauge.update(combine(parts.values()))
    }
  }
}

/** The totals of one topic's partitions. */
const ofTopic: ReadonlyArray<
  readonly [name: string, description: string, of: (assigned: PartitionSnapshot) => number]
> = [
  ["assigned_partitions", "Partitions owned", () => 1],
  ["in_flight_records", "Records started without an outcome", (assigned) => assigned.inFlight],
  ["buffered_records", "Records fetched and not started", (assigned) => assigned.bufferedRecords],
  ["buffered_bytes", "Bytes of fetched batches not handled yet", (assigned) => assigned.bufferedBytes],
  ["paused_partitions", "Owned partitions that are paused", (assigned) => (assigned.paused ? 1 : 0)],
  ["retries_waiting", "Records waiting for a retry", (assigned) => (assigned.activity === "waiting" ? 1 : 0)]
]

const ofPartition: ReadonlyArray<
  readonly [name: string, description: string, of: (assigned: PartitionSnapshot, now: number) => number]
> = [
  [
    "consumer_lag_records",
    "Records from the settled offset to the log's end as last fetched",
    (assigned) => Math.max(0, assigned.highWatermark - assigned.settledTo)
  ],
  [
    "oldest_unsettled_age_seconds",
    "Seconds since the oldest record without an outcome was fetched",
    (assigned, now) =>
      assigned.oldestFetchedAt === undefined ? 0 : Math.max(0, now - assigned.oldestFetchedAt) / 1_000
  ]
]

export const make = (service: string): Metrics["observeConsumer"] => {
  const shared = (name: string, description: string, labels: ReadonlyArray<string>, combine = sum) => {
    const gauge = MetricSeries.gauge(`${service}_${name}`, description)
    return MetricSeries.memoize((...values) =>
      series(gauge(labels.map((label, index) => [label, values[index]!] as const)), combine)
    )
  }
  const topicSeries = ofTopic.map(([name, description, of]) => ({
    seriesOf: shared(name, description, ["topic", "group"]),
    of
  }))
  const partitionSeries = ofPartition.map(([name, description, of]) => ({
    seriesOf: shared(name, description, ["topic", "partition", "group"]),
    of
  }))
  const status = shared("consumer_status", "1 for the consumer's current status", ["group", "status"])
  const breaker = shared(
    "circuit_breaker_state",
    "The circuit breaker: 0 closed, 1 half-open, 2 open",
    ["group"],
    highest
  )

  /** Every series of a consumer with its value. */
  const valuesOf = (
    groupId: string,
    topics: ReadonlyArray<string>,
    snapshot: ConsumerSnapshot,
    now: number
  ): Map<Series, number> => {
    const values = new Map<Series, number>()
    const add = (to: Series, value: number) => values.set(to, (values.get(to) ?? 0) + value)
    for (const name of statuses) add(status(groupId, name), name === snapshot.status ? 1 : 0)
    add(breaker(groupId), breakerValues[snapshot.circuitBreaker ?? "closed"])
    for (const { seriesOf } of topicSeries) for (const topic of topics) add(seriesOf(topic, groupId), 0)
    for (const assigned of snapshot.partitions) {
      for (const { of, seriesOf } of topicSeries) add(seriesOf(assigned.topic, groupId), of(assigned))
      for (const { of, seriesOf } of partitionSeries) {
        add(seriesOf(assigned.topic, String(assigned.partition), groupId), of(assigned, now))
      }
    }
    return values
  }

  return ({ groupId, topics }, sample) =>
    Effect.suspend(() => {
      const owner = {}
      let shown = new Map<Series, number>()
      const show = (values: Map<Series, number>) => {
        // Effect's registry drops no series: those of revoked partitions go to zero.
        for (const one of shown.keys()) if (!values.has(one)) one.show(owner, 0)
        for (const [one, value] of values) one.show(owner, value)
        shown = values
      }
      const update = Effect.map(Monotonic.now, (now) => show(valuesOf(groupId, topics, sample(), now)))
      return Effect.addFinalizer(() => Effect.sync(() => show(new Map()))).pipe(
        Effect.zipRight(update),
        Effect.zipRight(Effect.forkScoped(Effect.interruptible(Effect.schedule(update, Schedule.spaced("1 second"))))),
        Effect.asVoid
      )
    })
}
