/**
 * Zigzag varint encoding: 32-bit arithmetic where it suffices, BigInt for the rare rest.
 */

/** The widest 32-bit varint, in bytes. */
export const maxSize = 5

/** The widest 64-bit varint, in bytes. */
export const maxLongSize = 10

const zigzag = (value: number): number => ((value << 1) ^ (value >> 31)) >>> 0

const zigzagLong = (value: number): bigint => {
  const long = BigInt(value)
  return BigInt.asUintN(64, (long << 1n) ^ (long >> 63n))
}

/** The encoded bytes of a 32-bit integer. */
export const size = (value: number): number => {
  const bits = zigzag(value)
  if (bits < 0x80) return 1
  if (bits < 0x4000) return 2
  if (bits < 0x200000) return 3
  return bits < 0x10000000 ? 4 : 5
}

/** The encoded bytes of an integer of up to 64 bits. */
export const sizeLong = (value: number): number => {
  if (value === (value | 0)) return size(value)
  let bytes = 1
  for (let bits = zigzagLong(value); bits >= 0x80n; bits >>= 7n) bytes++
  return bytes
}

/** Writes a 32-bit integer and returns the position after it. */
export const write = (out: Uint8Array, from: number, value: number): number => {
  let at = from
  let bits = zigzag(value)
  while (bits >= 0x80) {
    out[at++] = bits | 0x80
    bits >>>= 7
  }
  out[at++] = bits
  return at
}

/** Writes an integer of up to 64 bits and returns the position after it. */
export const writeLong = (out: Uint8Array, from: number, value: number): number => {
  if (value === (value | 0)) return write(out, from, value)
  let at = from
  let bits = zigzagLong(value)
  while (bits >= 0x80n) {
    out[at++] = Number(bits & 0x7fn) | 0x80
    bits >>= 7n
  }
  out[at++] = Number(bits)
  return at
}
