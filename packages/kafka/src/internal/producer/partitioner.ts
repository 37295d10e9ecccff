/**
 * The partition of a record: the one it names, the one that Java's producer chooses for its key, or the current sticky
 * one for a record without a key.
 */

const seed = 0x9747b28c | 0
const m = 0x5bd1e995
const r = 24

/** The 32-bit murmur2 hash as Kafka computes it, signed. */
export const murmur2 = (data: Uint8Array): number => {
  const length = data.length
  let hash = seed ^ length
  const whole = length & ~3
  for (let i = 0; i < whole; i += 4) {
    let k = data[i]! | (data[i + 1]! << 8) | (data[i + 2]! << 16) | (data[i + 3]! << 24)
    k = Math.imul(k, m)
    k ^= k >>> r
    hash = Math.imul(hash, m) ^ Math.imul(k, m)
  }
  const rest = length & 3
  if (rest === 3) hash ^= data[whole + 2]! << 16
  if (rest >= 2) hash ^= data[whole + 1]! << 8
  if (rest >= 1) hash = Math.imul(hash ^ data[whole]!, m)
  hash ^= hash >>> 13
  hash = Math.imul(hash, m)
  return hash ^ (hash >>> 15)
}

/** The partition of a key: an empty key is a key. */
export const partitionOfKey = (key: Uint8Array, partitions: number): number => (murmur2(key) & 0x7fffffff) % partitions

/**
 * The partition for the next records without a key, drawn by a random number in [0, 1) from the partitions that are
 * writable now: any but the previous one, so that records spread even with few draws.
 */
export const nextSticky = (
  previous: number | undefined,
  available: ReadonlyArray<number>,
  random: number
): number | undefined => {
  const others = available.length > 1 ? available.filter((partition) => partition !== previous) : available
  return others[Math.floor(random * others.length)]
}

/** Whether a value is a Promise; a proxy may refuse to say. */
export const isPromise = (value: unknown): value is Promise<unknown> => {
  try {
    return value instanceof Promise
  } catch {
    return false
  }
}

/** Describes an invalid partition for the error. It may be any value, since JavaScript callers bypass the types. */
const show = (value: unknown): string => {
  try {
    return kindOf(value)
  } catch {
    return "an unreadable object"
  }
}

const kindOf = (value: unknown): string => {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value.slice(0, 100))
    case "bigint":
      return `${value}n`
    case "function":
      return "a function"
    case "object":
      if (value === null) return "null"
      return isPromise(value) ? "a Promise" : Array.isArray(value) ? "an array" : "an object"
    default:
      return String(value)
  }
}

/** Why a value isn't a partition of a topic with this many partitions; `undefined` if it is one. */
export const issueOf = (value: unknown, partitions: number): string | undefined => {
  if (Number.isInteger(value) && (value as number) >= 0 && (value as number) < partitions) return undefined
  const range = Number.isFinite(partitions) ? `from 0 to ${partitions - 1}` : "from 0"
  return `a whole number ${range}, not ${show(value)}`
}
