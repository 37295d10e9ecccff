import * as MetricKeyType from "effect/MetricKeyType"
import type * as MetricPair from "effect/MetricPair"
import * as MetricState from "effect/MetricState"
import * as Option from "effect/Option"

export type Labels = ReadonlyArray<readonly [name: string, value: string]>

export type Value =
  | { readonly _tag: "Number"; readonly value: number | bigint }
  | {
      readonly _tag: "Histogram"
      /** Cumulative counts by upper bound, without `+Inf`. */
      readonly buckets: ReadonlyArray<readonly [bound: number, count: number]>
      readonly sum: number
      readonly count: number
    }
  | {
      readonly _tag: "Summary"
      readonly quantiles: ReadonlyArray<readonly [quantile: number, value: number]>
      readonly sum: number
      readonly count: number
    }

export type FamilyType = "counter" | "gauge" | "histogram" | "summary"

export interface Series {
  readonly labels: Labels
  readonly value: Value
}

/** All series of one name. */
export interface Family {
  readonly name: string
  readonly type: FamilyType
  readonly help: string | undefined
  readonly series: ReadonlyArray<Series>
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

const startingWithLetter = (name: string): string => (/^[0-9]/.test(name) || name === "" ? `_${name}` : name)

const metricName = (name: string): string => startingWithLetter(name.replace(/[^a-zA-Z0-9_:]/g, "_"))

const labelName = (name: string): string => startingWithLetter(name.replace(/[^a-zA-Z0-9_]/g, "_"))

/** Sorted by name, each name once (the last value wins); a name that the format reserves is prefixed. */
const labelsOf = (pair: MetricPair.MetricPair.Untyped, reserved: string | undefined): Labels => {
  const labels = new Map<string, string>()
  for (const { key, value } of pair.metricKey.tags) {
    const name = labelName(key)
    labels.set(name === reserved ? `exported_${name}` : name, value)
  }
  return Array.from(labels).sort(([a], [b]) => compare(a, b))
}

interface Sample extends Series {
  readonly type: FamilyType
}

const samplesOf = (pair: MetricPair.MetricPair.Untyped): ReadonlyArray<Sample> => {
  const state = pair.metricState
  if (MetricState.isCounterState(state)) {
    const keyType = pair.metricKey.keyType
    const type = MetricKeyType.isCounterKey(keyType) && keyType.incremental ? "counter" : "gauge"
    return [{ type, labels: labelsOf(pair, undefined), value: { _tag: "Number", value: state.count } }]
  }
  if (MetricState.isGaugeState(state)) {
    return [{ type: "gauge", labels: labelsOf(pair, undefined), value: { _tag: "Number", value: state.value } }]
  }
  if (MetricState.isFrequencyState(state)) {
    const labels = labelsOf(pair, "key")
    return Array.from(state.occurrences, ([key, value]) => ({
      type: "counter",
      labels: [...labels, ["key", key]],
      value: { _tag: "Number", value }
    }))
  }
  if (MetricState.isHistogramState(state)) {
    const buckets = state.buckets.filter(([bound]) => bound !== Number.POSITIVE_INFINITY)
    const value = { _tag: "Histogram", buckets, sum: state.sum, count: state.count } as const
    return [{ type: "histogram", labels: labelsOf(pair, "le"), value }]
  }
  if (MetricState.isSummaryState(state)) {
    const quantiles = state.quantiles.map(
      ([quantile, value]) => [quantile, Option.getOrElse(value, () => Number.NaN)] as const
    )
    const value = { _tag: "Summary", quantiles, sum: state.sum, count: state.count } as const
    return [{ type: "summary", labels: labelsOf(pair, "quantile"), value }]
  }
  return []
}

const add = (a: number | bigint, b: number | bigint): number | bigint =>
  typeof a === "bigint" && typeof b === "bigint" ? a + b : Number(a) + Number(b)

/** Merges two values of one series; cumulative counts add up exactly at the bounds that both histograms have. */
const merge = (type: FamilyType, a: Value, b: Value): Value => {
  if (a._tag === "Number" && b._tag === "Number" && type === "counter") {
    return { _tag: "Number", value: add(a.value, b.value) }
  }
  if (a._tag === "Histogram" && b._tag === "Histogram") {
    const counts = new Map(b.buckets)
    const buckets = a.buckets.flatMap(([bound, count]) => {
      const other = counts.get(bound)
      return other === undefined ? [] : [[bound, count + other] as const]
    })
    return { _tag: "Histogram", buckets, sum: a.sum + b.sum, count: a.count + b.count }
  }
  return b
}

const sampleNames = ({ name, type }: Family): ReadonlyArray<string> => {
  switch (type) {
    case "histogram":
      return [name, `${name}_bucket`, `${name}_sum`, `${name}_count`]
    case "summary":
      return [name, `${name}_sum`, `${name}_count`]
    default:
      return [name]
  }
}

interface Building {
  readonly name: string
  readonly type: FamilyType
  readonly helps: Array<string>
  readonly series: Map<string, Series>
}

const collect = (pairs: Iterable<MetricPair.MetricPair.Untyped>): Iterable<Building> => {
  const families = new Map<string, Building>()
  for (const pair of pairs) {
    const name = metricName(pair.metricKey.name)
    for (const { labels, type, value } of samplesOf(pair)) {
      const familyKey = `${name} ${type}`
      const family: Building = families.get(familyKey) ?? { name, type, helps: [], series: new Map() }
      families.set(familyKey, family)
      if (Option.isSome(pair.metricKey.description)) family.helps.push(pair.metricKey.description.value)
      const seriesKey = JSON.stringify(labels)
      const before = family.series.get(seriesKey)
      family.series.set(seriesKey, { labels, value: before === undefined ? value : merge(type, before.value, value) })
    }
  }
  return families.values()
}

/** The families of a snapshot, ordered by name, with no two series of one name and labels. */
export const familiesOf = (pairs: Iterable<MetricPair.MetricPair.Untyped>): ReadonlyArray<Family> => {
  const families = Array.from(collect(pairs), ({ helps, name, series, type }): Family => {
    const sorted = Array.from(series).sort(([a], [b]) => compare(a, b))
    return { name, type, help: helps.sort(compare)[0], series: sorted.map(([, one]) => one) }
  }).sort((a, b) => compare(a.name, b.name) || compare(a.type, b.type))
  const taken = new Set<string>()
  return families.filter((family) => {
    const names = sampleNames(family)
    if (names.some((name) => taken.has(name))) return false
    for (const name of names) taken.add(name)
    return true
  })
}
