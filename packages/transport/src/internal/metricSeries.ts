/**
 * Effect's metrics with their keys cached: a series is registered once, at zero, and an update costs about 10 ns.
 */
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import * as MetricKey from "effect/MetricKey"
import type * as MetricKeyType from "effect/MetricKeyType"
import * as MetricLabel from "effect/MetricLabel"

export type Labels = ReadonlyArray<readonly [name: string, value: string]>

const noTags: ReadonlyArray<MetricLabel.MetricLabel> = []

// One shared object: Effect compares the boundaries of two histogram keys by identity.
const durationBoundaries = MetricBoundaries.fromIterable([
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10
])

/** Registers the series at once, bound to the cached hook. */
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

export const counter = (name: string, description: string): ((labels: Labels) => (n: number) => void) => {
  const key = MetricKey.counter(name, { description, incremental: true })
  return (labels) => {
    const metric = register(key, labels)
    return (n) => metric.unsafeUpdate(n, noTags)
  }
}

/** Of durations in seconds. */
export const histogram = (name: string, description: string): ((labels: Labels) => (seconds: number) => void) => {
  const key = MetricKey.histogram(name, durationBoundaries, description)
  return (labels) => {
    const metric = register(key, labels)
    return (seconds) => metric.unsafeUpdate(seconds, noTags)
  }
}

export interface Gauge {
  readonly update: (n: number) => void
  readonly modify: (n: number) => void
}

export const gauge = (name: string, description: string): ((labels: Labels) => Gauge) => {
  const key = MetricKey.gauge(name, { description })
  return (labels) => {
    const metric = register(key, labels)
    return { update: (n) => metric.unsafeUpdate(n, noTags), modify: (n) => metric.unsafeModify(n, noTags) }
  }
}

/** Caches by the labels' values; topics and groups contain no NUL. */
export const memoize = <A>(
  create: (...labels: ReadonlyArray<string>) => A
): ((...labels: ReadonlyArray<string>) => A) => {
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
