/** Every kind of bytes that compressors treat differently, in turn: noise, runs, words, and distant repetitions. */
export const mixture = (seed: number, size: number): Uint8Array => {
  const bytes = new Uint8Array(size)
  let state = seed | 1
  const next = (below: number): number => {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9
    return (state >>> 1) % below
  }
  for (let at = 0; at < size; ) {
    const length = Math.min(size - at, 1 + next(next(4) === 0 ? 200_000 : 2_000))
    const kind = next(4)
    if (kind === 1) bytes.fill(next(256), at, at + length)
    else if (kind === 3 && at > 0) {
      const from = next(at)
      for (let i = 0; i < length; i++) bytes[at + i] = bytes[from + i]!
    } else for (let i = 0; i < length; i++) bytes[at + i] = kind === 0 ? next(256) : 97 + next(1 + next(26))
    at += length
  }
  return bytes
}
