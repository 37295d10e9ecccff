/**
 * The compression codecs by the id in a batch's attributes. A codec is loaded at the first batch that needs it: the
 * native package if it is installed and has a binary for this platform, else JavaScript.
 */
import * as Zlib from "node:zlib"
import type { Codec, Load } from "./codec.js"
import * as Inflate from "./inflate.js"
import { viewOf } from "./layout.js"
import * as Lz4 from "./lz4.js"
import * as Packages from "./packages.js"
import * as Pieces from "./pieces.js"
import * as Snappy from "./snappy.js"
import type { Compression } from "./types.js"
import * as Zstd from "./zstd.js"

export const ids: Readonly<Record<Compression, number>> = { none: 0, gzip: 1, snappy: 2, lz4: 3, zstd: 4 }

/** The names by id. */
export const names = Object.keys(ids) as ReadonlyArray<Compression>

/** A gzip member ends with the size of its content, modulo 2^32. */
const gzipSize = (bytes: Uint8Array): number => viewOf(bytes).getUint32(bytes.length - 4, true)

const gzip: Codec = {
  compress: (bytes) => Zlib.gzipSync(bytes),
  fits: (bytes, maxBytes) => gzipSize(bytes) <= maxBytes,
  pieces: Inflate.pieces,
  // Copied, since zlib's result may be a short view of a larger chunk.
  decompress: (bytes, maxOutputLength) => new Uint8Array(Zlib.gunzipSync(bytes, { maxOutputLength }))
}

const none: Codec = {
  compress: (bytes) => bytes,
  decompress: (bytes) => bytes,
  fits: (bytes, maxBytes) => bytes.length <= maxBytes,
  pieces: Pieces.one
}

export const loads: Readonly<Record<Compression, ReadonlyArray<Load>>> = {
  none: [() => none],
  gzip: [() => gzip],
  snappy: Snappy.loads,
  lz4: Lz4.loads,
  zstd: Zstd.loads
}

/** The codec of an id; `undefined` if the id is unknown. */
export type Codecs = (id: number) => Codec | undefined

export const make = (require: NodeJS.Require): Codecs => {
  const codecs = new Map<number, Codec>()
  return (id) => {
    const name = names[id]
    const found = codecs.get(id) ?? (name === undefined ? undefined : Packages.firstOf(loads[name], require))
    if (found !== undefined) codecs.set(id, found)
    return found
  }
}

export const codec: Codecs = make(Packages.require)
