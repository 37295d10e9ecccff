/** Versions of one api, both ends included. */
export interface VersionRange {
  readonly min: number
  readonly max: number
}

/** The newest version that both sides support. */
export const choose = (ours: VersionRange, brokers: VersionRange | undefined): number | undefined => {
  if (brokers === undefined) return undefined
  const version = Math.min(ours.max, brokers.max)
  return version >= ours.min && version >= brokers.min ? version : undefined
}

export const describe = (range: VersionRange | undefined): string =>
  range === undefined ? "none" : `${range.min} to ${range.max}`
