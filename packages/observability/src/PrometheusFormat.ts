/**
 * Effect's metrics in Prometheus's text exposition format 0.0.4.
 *
 * | Effect | Prometheus |
 * |---|---|
 * | counter, `incremental` | counter |
 * | counter that may fall, gauge | gauge |
 * | histogram | histogram: cumulative `le` buckets up to `+Inf`, `_sum`, `_count` |
 * | frequency | counter with the label `key` |
 * | summary | summary: `quantile`, `_sum`, `_count` |
 *
 * Families are ordered by name and series by labels, so equal snapshots give equal texts. No series is printed twice:
 * keys that differ only in description or label order form one series whose counts add up (for gauges and summaries,
 * the one registered last wins). In invalid names, `_` replaces each invalid character.
 */
import type * as MetricPair from "effect/MetricPair"
import { familiesOf } from "./internal/families.js"
import { render } from "./internal/render.js"

/** The options of `format`. */
export interface FormatOptions {
  /** Whether to include `effect_fiber_*`, which Effect's runtime always registers. Default: false. */
  readonly fibers?: boolean | undefined
}

/** The value of the `Content-Type` header for `format`'s text. */
export const contentType = "text/plain; version=0.0.4; charset=utf-8"

/**
 * The text of a snapshot, such as `Metric.unsafeSnapshot()`. Leaves out a family whose series names clash with an
 * earlier one: the same name with another type, or `a_count` beside a histogram `a`.
 */
export const format = (
  snapshot: Iterable<MetricPair.MetricPair.Untyped>,
  options?: FormatOptions | undefined
): string => {
  const pairs = Array.from(snapshot).filter(
    ({ metricKey }) => options?.fibers === true || !metricKey.name.startsWith("effect_fiber_")
  )
  return familiesOf(pairs).map(render).join("")
}
