/**
 * The checksums of record batches (CRC-32C) and of gzip (CRC-32).
 */
import * as Packages from "./packages.js"

/** The checksum of bytes; `seed` is the checksum of the bytes before them. */
export type Checksum = (bytes: Uint8Array, seed?: number) => number

const slices = 8

/** Row k has the effect of each byte value that is followed by k zeros. */
const tablesOf = (polynomial: number): Int32Array => {
  const tables = new Int32Array(slices * 256)
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ polynomial
    tables[byte] = crc
  }
  for (let at = 256; at < tables.length; at++) {
    const crc = tables[at - 256]!
    tables[at] = (crc >>> 8) ^ tables[crc & 0xff]!
  }
  return tables
}

/** Eight bytes at a time, by tables ("slicing-by-8"). The polynomial's bits are in reverse order. */
const byTables = (polynomial: number): Checksum => {
  let tables: Int32Array | undefined
  return (bytes, seed = 0) => {
    tables ??= tablesOf(polynomial)
    const t = tables
    let crc = ~seed
    let at = 0
    for (const end = bytes.length - slices; at <= end; at += slices) {
      crc ^= bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
      crc =
        t[1792 + (crc & 0xff)]! ^
        t[1536 + ((crc >>> 8) & 0xff)]! ^
        t[1280 + ((crc >>> 16) & 0xff)]! ^
        t[1024 + (crc >>> 24)]! ^
        t[768 + bytes[at + 4]!]! ^
        t[512 + bytes[at + 5]!]! ^
        t[256 + bytes[at + 6]!]! ^
        t[bytes[at + 7]!]!
    }
    for (; at < bytes.length; at++) crc = (crc >>> 8) ^ t[(crc ^ bytes[at]!) & 0xff]!
    return ~crc >>> 0
  }
}

export const crc32: Checksum = byTables(0xedb88320)

/** Every implementation of CRC-32C, the faster one first: a native package, then tables. */
export const loads: ReadonlyArray<(require: NodeJS.Require) => Checksum> = [
  (require) => (require("@node-rs/crc32") as typeof import("@node-rs/crc32")).crc32c,
  () => byTables(0x82f63b78)
]

let loaded: Checksum | undefined

export const crc32c: Checksum = (bytes, seed) => {
  loaded ??= Packages.firstOf(loads, Packages.require)
  return loaded(bytes, seed)
}
