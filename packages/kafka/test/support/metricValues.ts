import * as Metric from "effect/Metric"
import * as MetricState from "effect/MetricState"

/** The value of a series of this process, or a histogram's count; `undefined` if it doesn't exist. */
export const metricValue = (name: string, labels: Readonly<Record<string, string>> = {}): number | undefined => {
  const wanted = Object.entries(labels)
  const found = Metric.unsafeSnapshot().find(
    ({ metricKey: { name: found, tags } }) =>
      found === name &&
      tags.length === wanted.length &&
      wanted.every(([key, value]) => tags.some((tag) => tag.key === key && tag.value === value))
  )
  if (found === undefined) return undefined
  const state = found.metricState
  if (MetricState.isCounterState(state) || MetricState.isHistogramState(state)) return Number(state.count)
  return MetricState.isGaugeState(state) ? Number(state.value) : Number.NaN
}
