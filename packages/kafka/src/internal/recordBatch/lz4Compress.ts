/**
 * Writes LZ4's frame format: independent blocks of up to 64 KiB without checksums, as Java's clients do.
 * https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md
 */
import { viewOf } from "./layout.js"
import * as Matches from "./matches.js"

/** The magic number, the flags of version 1 with independent blocks, blocks of 64 KiB, and these two bytes' checksum. */
const frameHeader = Uint8Array.of(0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82)

/** In a block's size: its bytes are not compressed. */
const uncompressed = 0x80000000

const lastNibble = 15

/** The most bytes that a block takes, compressed. */
const boundOf = (size: number): number => size + Math.ceil(size / 255) + 16

/** A nibble of 15 is followed by the rest of the length. */
const writeRest = (out: Uint8Array, from: number, length: number): number => {
  let at = from
  let rest = length - lastNibble
  if (rest < 0) return at
  for (; rest >= 255; rest -= 255) out[at++] = 255
  out[at++] = rest
  return at
}

const writeBlock = (bytes: Uint8Array, from: number, to: number, out: Uint8Array, start: number): number => {
  let at = start
  const literals = (first: number, end: number, matchNibble: number): void => {
    const count = end - first
    out[at++] = (Math.min(count, lastNibble) << 4) | matchNibble
    at = writeRest(out, at, count)
    out.set(bytes.subarray(first, end), at)
    at += count
  }
  const rest = Matches.find(bytes, from, to, (first, end, distance, length) => {
    const extra = length - Matches.minMatch
    literals(first, end, Math.min(extra, lastNibble))
    out[at++] = distance & 0xff
    out[at++] = distance >>> 8
    at = writeRest(out, at, extra)
  })
  literals(rest, to, 0)
  return at
}

export const compress = (bytes: Uint8Array): Uint8Array => {
  const { maxBlockBytes } = Matches
  const blocks = Math.ceil(bytes.length / maxBlockBytes)
  const out = new Uint8Array(frameHeader.length + boundOf(bytes.length) + blocks * 20 + 4)
  const view = viewOf(out)
  out.set(frameHeader)
  let at = frameHeader.length
  for (let from = 0; from < bytes.length; from += maxBlockBytes) {
    const to = Math.min(bytes.length, from + maxBlockBytes)
    const start = at + 4
    const end = writeBlock(bytes, from, to, out, start)
    const isSmaller = end - start < to - from
    if (!isSmaller) out.set(bytes.subarray(from, to), start)
    const size = isSmaller ? end - start : to - from
    view.setUint32(at, isSmaller ? size : size + uncompressed, true)
    at = start + size
  }
  // A size of zero ends the frame.
  view.setUint32(at, 0, true)
  return out.slice(0, at + 4)
}
