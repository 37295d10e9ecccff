/** A strict parser of Prometheus's text format 0.0.4, written from its grammar; throws on any violation. */

export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface Family {
  readonly name: string
  readonly type: string
  readonly help: string | undefined
  readonly samples: ReadonlyArray<Sample>
}

const unescape = (text: string, quotes: boolean): string =>
  text.replace(/\\(.)/gs, (all, char: string) => {
    if (char === "n") return "\n"
    if (char === "\\" || (quotes && char === '"')) return char
    throw new Error(`unknown escape ${all}`)
  })

const parseNumber = (text: string): number => {
  if (text === "+Inf") return Number.POSITIVE_INFINITY
  if (text === "-Inf") return Number.NEGATIVE_INFINITY
  if (text === "NaN") return Number.NaN
  if (!/^-?[0-9.]+(e[+-]?[0-9]+)?$/.test(text)) throw new Error(`not a number: ${text}`)
  return Number(text)
}

const parseLabels = (text: string): Record<string, string> => {
  const labels: Record<string, string> = {}
  let rest = text
  while (rest !== "") {
    const match = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\.)*)"(,(?=.)|$)/s.exec(rest)
    if (match === null) throw new Error(`not labels: ${rest}`)
    const [all, name, value] = match
    if (Object.hasOwn(labels, name!)) throw new Error(`label ${name} repeats`)
    Object.defineProperty(labels, name!, { value: unescape(value!, true), enumerable: true })
    rest = rest.slice(all.length)
  }
  return labels
}

const suffixes: Readonly<Record<string, ReadonlyArray<string>>> = {
  counter: [""],
  gauge: [""],
  histogram: ["_bucket", "_sum", "_count"],
  summary: ["", "_sum", "_count"]
}

export const parse = (text: string): ReadonlyArray<Family> => {
  if (text !== "" && !text.endsWith("\n")) throw new Error("the last line has no line break")
  const families: Array<Family & { samples: Array<Sample> }> = []
  const seen = new Set<string>()
  const names = new Set<string>()
  let help: { readonly name: string; readonly text: string } | undefined
  for (const line of text.split("\n").slice(0, -1)) {
    const comment = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)$/s.exec(line)
    if (comment !== null) {
      const [, kind, name, value] = comment
      if (kind === "HELP") {
        if (help !== undefined) throw new Error(`HELP of ${help.name} without its TYPE`)
        help = { name: name!, text: unescape(value!, false) }
        continue
      }
      if (help !== undefined && help.name !== name) throw new Error(`HELP of ${help.name} before TYPE of ${name}`)
      if (names.has(name!)) throw new Error(`a second TYPE of ${name}`)
      if (suffixes[value!] === undefined) throw new Error(`unknown type ${value}`)
      names.add(name!)
      families.push({ name: name!, type: value!, help: help?.text, samples: [] })
      help = undefined
      continue
    }
    const match = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.+)\})? (\S+)$/s.exec(line)
    const family = families.at(-1)
    if (match === null || family === undefined) throw new Error(`not a line: ${line}`)
    const [, name, labels, value] = match
    if (!suffixes[family.type]!.some((suffix) => name === family.name + suffix)) {
      throw new Error(`${name} among the series of the ${family.type} ${family.name}`)
    }
    const sample = { name: name!, labels: parseLabels(labels ?? ""), value: parseNumber(value!) }
    const series = JSON.stringify([name, Object.entries(sample.labels).sort()])
    if (seen.has(series)) throw new Error(`a second series ${series}`)
    seen.add(series)
    family.samples.push(sample)
  }
  return families
}
