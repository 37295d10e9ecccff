import type { Family, Labels, Series } from "./families.js"

const escapeHelp = (text: string): string => text.replace(/\\/g, "\\\\").replace(/\n/g, "\\n")

const escapeLabel = (text: string): string => escapeHelp(text).replace(/"/g, '\\"')

const number = (value: number | bigint): string => {
  if (value === Number.POSITIVE_INFINITY) return "+Inf"
  if (value === Number.NEGATIVE_INFINITY) return "-Inf"
  return String(value)
}

const line = (name: string, labels: Labels, value: number | bigint): string => {
  const pairs = labels.map(([label, text]) => `${label}="${escapeLabel(text)}"`).join(",")
  return `${name}${pairs === "" ? "" : `{${pairs}}`} ${number(value)}\n`
}

const lines = (name: string, { labels, value }: Series): string => {
  switch (value._tag) {
    case "Number":
      return line(name, labels, value.value)
    case "Histogram":
      return [...value.buckets, [Number.POSITIVE_INFINITY, value.count] as const]
        .map(([bound, count]) => line(`${name}_bucket`, [...labels, ["le", number(bound)]], count))
        .concat(line(`${name}_sum`, labels, value.sum), line(`${name}_count`, labels, value.count))
        .join("")
    case "Summary":
      return value.quantiles
        .map(([quantile, at]) => line(name, [...labels, ["quantile", number(quantile)]], at))
        .concat(line(`${name}_sum`, labels, value.sum), line(`${name}_count`, labels, value.count))
        .join("")
  }
}

/** A family's HELP and TYPE lines and its series. */
export const render = ({ help, name, series, type }: Family): string =>
  (help === undefined ? "" : `# HELP ${name} ${escapeHelp(help)}\n`) +
  `# TYPE ${name} ${type}\n${series.map((one) => lines(name, one)).join("")}`
