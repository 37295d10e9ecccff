import { assert, describe, it } from "@effect/vitest"
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import * as MetricKey from "effect/MetricKey"
import * as MetricLabel from "effect/MetricLabel"
import * as MetricPair from "effect/MetricPair"
import * as MetricState from "effect/MetricState"
import * as Option from "effect/Option"
import * as fc from "fast-check"
import * as PrometheusFormat from "../src/PrometheusFormat.js"
import { parse } from "./exposition.js"

type Tags = ReadonlyArray<readonly [string, string]>

const labels = (tags: Tags) => tags.map(([key, value]) => MetricLabel.make(key, value))

const counter = (name: string, count: number | bigint, tags: Tags = [], description?: string, incremental = true) =>
  MetricPair.unsafeMake(
    MetricKey.taggedWithLabels(MetricKey.counter(name, { description, incremental }), labels(tags)),
    MetricState.counter(count as number)
  )

const gauge = (name: string, value: number, tags: Tags = [], description?: string) =>
  MetricPair.unsafeMake(
    MetricKey.taggedWithLabels(MetricKey.gauge(name, { description }), labels(tags)),
    MetricState.gauge(value)
  )

const frequency = (name: string, words: Readonly<Record<string, number>>, tags: Tags = []) =>
  MetricPair.unsafeMake(
    MetricKey.taggedWithLabels(MetricKey.frequency(name), labels(tags)),
    MetricState.frequency(new Map(Object.entries(words)))
  )

const histogram = (name: string, bounds: ReadonlyArray<number>, observed: ReadonlyArray<number>, tags: Tags = []) =>
  MetricPair.unsafeMake(
    MetricKey.taggedWithLabels(MetricKey.histogram(name, MetricBoundaries.fromIterable(bounds)), labels(tags)),
    MetricState.histogram({
      buckets: [...bounds, Number.POSITIVE_INFINITY].map(
        (bound) => [bound, observed.filter((value) => value <= bound).length] as const
      ),
      count: observed.length,
      min: Math.min(...observed),
      max: Math.max(...observed),
      sum: observed.reduce((sum, value) => sum + value, 0)
    })
  )

const summary = (name: string, quantiles: ReadonlyArray<readonly [number, number | undefined]>, tags: Tags = []) =>
  MetricPair.unsafeMake(
    MetricKey.taggedWithLabels(
      MetricKey.summary({ name, maxAge: "1 minute", maxSize: 10, error: 0, quantiles: quantiles.map(([q]) => q) }),
      labels(tags)
    ),
    MetricState.summary({
      error: 0,
      quantiles: quantiles.map(([q, value]) => [q, Option.fromNullable(value)] as const),
      count: 3,
      min: 1,
      max: 3,
      sum: 6
    })
  )

describe("PrometheusFormat", () => {
  it("names its content type", () => {
    assert.strictEqual(PrometheusFormat.contentType, "text/plain; version=0.0.4; charset=utf-8")
  })

  it("is empty for no metrics", () => {
    assert.strictEqual(PrometheusFormat.format([]), "")
  })

  it("writes counters and gauges with HELP and TYPE, ordered by name and labels", () => {
    const text = PrometheusFormat.format([
      gauge("up", -1.5, [], "Whether it is up"),
      counter(
        "a_total",
        2,
        [
          ["topic", "orders"],
          ["group", "b"]
        ],
        "Records"
      ),
      counter(
        "a_total",
        1,
        [
          ["topic", "orders"],
          ["group", "a"]
        ],
        "Records"
      ),
      counter("plain", 3)
    ])
    assert.strictEqual(
      text,
      `# HELP a_total Records
# TYPE a_total counter
a_total{group="a",topic="orders"} 1
a_total{group="b",topic="orders"} 2
# TYPE plain counter
plain 3
# HELP up Whether it is up
# TYPE up gauge
up -1.5
`
    )
  })

  it("writes a counter that may fall as a gauge", () => {
    assert.include(
      PrometheusFormat.format([counter("level", 3, [], undefined, false)]),
      "# TYPE level gauge\nlevel 3\n"
    )
  })

  it("writes a histogram with cumulative buckets up to +Inf, its sum and count", () => {
    const text = PrometheusFormat.format([histogram("seconds", [0.5, 1], [0.25, 0.5, 0.75, 4], [["topic", "orders"]])])
    assert.strictEqual(
      text,
      `# TYPE seconds histogram
seconds_bucket{topic="orders",le="0.5"} 2
seconds_bucket{topic="orders",le="1"} 3
seconds_bucket{topic="orders",le="+Inf"} 4
seconds_sum{topic="orders"} 5.5
seconds_count{topic="orders"} 4
`
    )
  })

  it("writes a frequency as counters by key", () => {
    assert.strictEqual(
      PrometheusFormat.format([frequency("words", { b: 2, a: 1 }, [["at", "x"]])]),
      `# TYPE words counter
words{at="x",key="a"} 1
words{at="x",key="b"} 2
`
    )
  })

  it("writes a summary, a quantile without samples as NaN", () => {
    assert.strictEqual(
      PrometheusFormat.format([
        summary("took", [
          [0.5, 2],
          [0.99, undefined]
        ])
      ]),
      `# TYPE took summary
took{quantile="0.5"} 2
took{quantile="0.99"} NaN
took_sum 6
took_count 3
`
    )
  })

  it("writes numbers in the format's notation", () => {
    const text = PrometheusFormat.format([
      gauge("a", Number.POSITIVE_INFINITY),
      gauge("b", Number.NEGATIVE_INFINITY),
      gauge("c", Number.NaN),
      gauge("d", 1e300),
      gauge("e", -0),
      counter("f", 9_007_199_254_740_993n)
    ])
    const written = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"))
    assert.deepStrictEqual(written, ["a +Inf", "b -Inf", "c NaN", "d 1e+300", "e 0", "f 9007199254740993"])
  })

  it("escapes descriptions and label values", () => {
    const text = PrometheusFormat.format([counter("a", 1, [["path", 'C:\\dir "x"\nend']], 'back\\slash\n"quote"')])
    assert.strictEqual(
      text,
      `# HELP a back\\\\slash\\n"quote"
# TYPE a counter
a{path="C:\\\\dir \\"x\\"\\nend"} 1
`
    )
  })

  it("makes names valid", () => {
    const text = PrometheusFormat.format([
      counter("http.server-requests", 1, [
        ["status.code", "200"],
        ["1st", "x"]
      ]),
      counter("2xx", 2)
    ])
    assert.include(text, 'http_server_requests{_1st="x",status_code="200"} 1')
    assert.include(text, "_2xx 2")
  })

  it("keeps the labels that the format reserves", () => {
    const text = PrometheusFormat.format([
      histogram("h", [1], [2], [["le", "mine"]]),
      summary("s", [[0.5, 1]], [["quantile", "mine"]]),
      frequency("f", { a: 1 }, [["key", "mine"]])
    ])
    assert.include(text, 'h_bucket{exported_le="mine",le="1"} 0')
    assert.include(text, 's{exported_quantile="mine",quantile="0.5"} 1')
    assert.include(text, 'f{exported_key="mine",key="a"} 1')
  })

  it("prints keys that differ in label order or description as one series", () => {
    const text = PrometheusFormat.format([
      counter(
        "a",
        1,
        [
          ["x", "1"],
          ["y", "2"]
        ],
        "one"
      ),
      counter(
        "a",
        2,
        [
          ["y", "2"],
          ["x", "1"]
        ],
        "other"
      ),
      gauge("g", 1, [], "one"),
      gauge("g", 5, [], "other"),
      histogram("h", [1, 2, 3], [0.5, 2.5]),
      histogram("h", [1, 3], [2.5, 9])
    ])
    assert.strictEqual(
      text,
      `# HELP a one
# TYPE a counter
a{x="1",y="2"} 3
# HELP g one
# TYPE g gauge
g 5
# TYPE h histogram
h_bucket{le="1"} 1
h_bucket{le="3"} 3
h_bucket{le="+Inf"} 4
h_sum 14.5
h_count 4
`
    )
  })

  it("leaves out a family whose series names are taken", () => {
    const text = PrometheusFormat.format([
      gauge("a", 1),
      counter("a", 2),
      histogram("h", [1], [0.5]),
      counter("h_count", 7)
    ])
    assert.deepStrictEqual(
      parse(text).map(({ name, type }) => [name, type]),
      [
        ["a", "counter"],
        ["h", "histogram"]
      ]
    )
  })

  it("skips the runtime's fiber metrics unless configured", () => {
    const snapshot = [counter("effect_fiber_started", 4), counter("mine", 1)]
    assert.notInclude(PrometheusFormat.format(snapshot), "effect_fiber")
    assert.include(PrometheusFormat.format(snapshot, { fibers: true }), "effect_fiber_started 4")
  })

  it("formats this process's own metrics", () => {
    const hits = Metric.counter("format_test_hits_total", { incremental: true }).pipe(Metric.tagged("page", "home"))
    hits.unsafeUpdate(2, [])
    const families = parse(PrometheusFormat.format(Metric.unsafeSnapshot(), { fibers: true }))
    assert.deepStrictEqual(
      families.find(({ name }) => name === "format_test_hits_total"),
      {
        name: "format_test_hits_total",
        type: "counter",
        help: undefined,
        samples: [{ name: "format_test_hits_total", labels: { page: "home" }, value: 2 }]
      }
    )
  })
})

// Few names and labels, so that they collide; any text as label values and descriptions.
const name = fc.oneof(fc.constantFrom("a", "b", "a_count", "a_sum", "b.c", "b_c", "0"), fc.string())
const text = fc.string({ unit: "grapheme", maxLength: 12 })
const tags = fc.array(fc.tuple(fc.oneof(fc.constantFrom("x", "y", "le", "key", "quantile"), fc.string()), text), {
  maxLength: 3
})
const value = fc.double()
const bounds = fc
  .uniqueArray(fc.double({ min: -10, max: 10, noNaN: true }), { maxLength: 4 })
  .map((all) => all.sort((a, b) => a - b))

const pair: fc.Arbitrary<MetricPair.MetricPair.Untyped> = fc.oneof(
  fc
    .tuple(name, fc.double({ min: 0, noNaN: true }), tags, fc.option(text, { nil: undefined }), fc.boolean())
    .map((args): MetricPair.MetricPair.Untyped => counter(...args)),
  fc.tuple(name, value, tags, fc.option(text, { nil: undefined })).map((args) => gauge(...args)),
  fc.tuple(name, fc.dictionary(text, fc.nat()), tags).map((args) => frequency(...args)),
  fc
    .tuple(name, bounds, fc.array(fc.double({ noNaN: true, min: -20, max: 20 })), tags)
    .map((args) => histogram(...args)),
  fc
    .tuple(
      name,
      fc.constant([
        [0.5, 1],
        [0.9, undefined]
      ] as const),
      tags
    )
    .map((args) => summary(...args))
)

describe("PrometheusFormat, for any snapshot", () => {
  it("is valid, has no series twice, and histogram buckets never fall and end at their count", () => {
    fc.assert(
      fc.property(fc.array(pair, { maxLength: 8 }), (snapshot) => {
        for (const family of parse(PrometheusFormat.format(snapshot))) {
          if (family.type !== "histogram") continue
          let last = 0
          for (const { name, value } of family.samples) {
            if (name.endsWith("_bucket")) {
              assert.isAtLeast(value, last)
              last = value
            } else if (name.endsWith("_count")) {
              assert.strictEqual(value, last)
              last = 0
            }
          }
        }
      }),
      { numRuns: 500 }
    )
  })

  it("reads back label values and descriptions unchanged", () => {
    fc.assert(
      fc.property(text, text, (label, description) => {
        const [family] = parse(PrometheusFormat.format([counter("a", 1, [["x", label]], description)]))
        assert.strictEqual(family?.help, description)
        assert.deepStrictEqual(family?.samples[0]?.labels, { x: label })
      })
    )
  })

  it("doesn't depend on the snapshot's order, except for gauges and summaries of one series", () => {
    fc.assert(
      fc.property(
        fc
          .array(fc.tuple(fc.constantFrom("a", "b", "c"), fc.nat(), tags), { maxLength: 8 })
          .chain((all) => fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length }))),
        ([all, shuffled]) => {
          const format = (pairs: typeof all) => PrometheusFormat.format(pairs.map((args) => counter(...args)))
          assert.strictEqual(format(all), format(shuffled))
        }
      )
    )
  })
})
