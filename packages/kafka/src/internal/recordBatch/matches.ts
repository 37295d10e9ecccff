/**
 * Finds repetitions in a block, for compressors in JavaScript: greedy, with one candidate for each hash of four bytes.
 */

/** Receives the bytes since the last match as literals, then `length` bytes that repeat those `distance` before. */
export type Match = (literalsFrom: number, at: number, distance: number, length: number) => void

const hashBits = 14

/** Positions in the block by hash; 0 also stands for none. */
const positions = new Uint16Array(1 << hashBits)

/** LZ4 requires its last match to begin this far from the block's end, and to leave the last bytes as literals. */
const matchStartLimit = 12
const lastLiterals = 5

export const maxBlockBytes = 64 * 1024

export const minMatch = 4

/** Calls back for each match of a block of at most `maxBlockBytes`, in order; returns where the last literals begin. */
export const find = (bytes: Uint8Array, from: number, to: number, match: Match): number => {
  positions.fill(0)
  const word = (at: number): number =>
    bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
  const startLimit = to - matchStartLimit
  const endLimit = to - lastLiterals
  let literals = from
  // After many misses in a row the data hardly compresses, so larger steps skip it.
  let misses = 0
  for (let at = from + 1; at <= startLimit; ) {
    const value = word(at)
    const hash = Math.imul(value, 0x9e3779b1) >>> (32 - hashBits)
    const candidate = from + positions[hash]!
    positions[hash] = at - from
    if (word(candidate) !== value) {
      at += 1 + (misses++ >> 6)
      continue
    }
    let end = at + minMatch
    while (end < endLimit && bytes[end] === bytes[candidate + end - at]) end++
    match(literals, at, at - candidate, end - at)
    literals = at = end
    misses = 0
  }
  return literals
}
