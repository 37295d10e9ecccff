/** `--name N` on the command line, or the default. */
export const numberArgument = (name: string, fallback: number): number => {
  const at = process.argv.indexOf(`--${name}`)
  const value = at < 0 ? fallback : Number(process.argv[at + 1])
  if (!Number.isSafeInteger(value) || value <= 0) throw new Error(`--${name}: must be a whole number above zero`)
  return value
}

export const median = (values: ReadonlyArray<number>): number => {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** `--name A,B` on the command line, of the choices that there are, or all of them. */
export const choicesArgument = <A extends string>(name: string, choices: ReadonlyArray<A>): ReadonlyArray<A> => {
  const at = process.argv.indexOf(`--${name}`)
  if (at < 0) return choices
  const wanted = (process.argv[at + 1] ?? "").split(",")
  const unknown = wanted.find((each) => !choices.some((choice) => choice === each))
  if (unknown !== undefined) throw new Error(`--${name}: ${unknown} is none of ${choices.join(", ")}`)
  return choices.filter((choice) => wanted.includes(choice))
}
