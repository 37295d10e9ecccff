/**
 * Writes a block of Snappy, of at most 64 KiB. https://github.com/google/snappy/blob/main/format_description.txt
 */
import * as Matches from "./matches.js"

/** The tags of literals whose length follows in one byte or two; shorter lengths are in the tag itself. */
const oneByteLength = 60
const twoByteLength = 61

/** The longest copy of one element. */
const maxCopy = 64

/** The most bytes that a block takes, compressed, as in Google's library. */
const boundOf = (size: number): number => 32 + size + Math.ceil(size / 6)

export const compress = (bytes: Uint8Array): Uint8Array => {
  const out = new Uint8Array(boundOf(bytes.length))
  let at = 0
  let size = bytes.length
  for (; size >= 0x80; size >>>= 7) out[at++] = (size & 0x7f) | 0x80
  out[at++] = size

  const literals = (from: number, to: number): void => {
    if (from === to) return
    const length = to - from - 1
    if (length < oneByteLength) out[at++] = length << 2
    else if (length < 0x100) {
      out[at++] = oneByteLength << 2
      out[at++] = length
    } else {
      out[at++] = twoByteLength << 2
      out[at++] = length & 0xff
      out[at++] = length >>> 8
    }
    out.set(bytes.subarray(from, to), at)
    at += to - from
  }
  const rest = Matches.find(bytes, 0, bytes.length, (from, to, distance, length) => {
    literals(from, to)
    for (let left = length; left > 0; left -= maxCopy) {
      out[at++] = ((Math.min(left, maxCopy) - 1) << 2) | 2
      out[at++] = distance & 0xff
      out[at++] = distance >>> 8
    }
  })
  literals(rest, bytes.length)
  return out.slice(0, at)
}
