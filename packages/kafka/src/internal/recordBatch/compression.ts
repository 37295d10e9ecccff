/**
 * The compression codecs by the id in a batch's attributes. A codec's package is loaded at the first batch that needs
 * it, so a package that can't be loaded, as on an unsupported platform, affects only such batches.
 */
import { createRequire } from "node:module"
import * as Zlib from "node:zlib"
import type { Codec, Load } from "./codec.js"
import * as Inflate from "./inflate.js"
import { viewOf } from "./layout.js"
import * as Lz4 from "./lz4.js"
import * as Pieces from "./pieces.js"
import * as Snappy from "./snappy.js"
import type { Compression } from "./types.js"
import * as Zstd from "./zstd.js"

export const ids: Readonly<Record<Compression, number>> = { none: 0, gzip: 1, snappy: 2, lz4: 3, zstd: 4 }

/** The names by id. */
export const names = Object.keys(ids) as ReadonlyArray<Compression>

/** A gzip member ends with the size of its content, modulo 2^32. */
const gzipSize = (bytes: Uint8Array): number => viewOf(bytes).getUint32(bytes.length - 4, true)

const gzip: Load = () => ({
  compress: (bytes) => Zlib.gzipSync(bytes),
  fits: (bytes, maxBytes) => gzipSize(bytes) <= maxBytes,
  pieces: Inflate.pieces,
  // Copied, since zlib's result may be a short view of a larger chunk.
  decompress: (bytes, maxOutputLength) => new Uint8Array(Zlib.gunzipSync(bytes, { maxOutputLength }))
})

const loads: Readonly<Record<Compression, Load>> = {
  none: () => ({
    compress: (bytes) => bytes,
    decompress: (bytes) => bytes,
    fits: (bytes, maxBytes) => bytes.length <= maxBytes,
    pieces: Pieces.one
  }),
  gzip,
  snappy: Snappy.load,
  lz4: Lz4.load,
  zstd: Zstd.load
}

/** A codec that can't be used: the id is unknown, or its package can't be loaded. */
export interface Unusable {
  readonly unusable: string
  readonly cause?: unknown
}

export type Codecs = (id: number) => Codec | Unusable

export const make = (require: NodeJS.Require): Codecs => {
  const codecs = new Map<number, Codec | Unusable>()
  const find = (id: number): Codec | Unusable => {
    const name = names[id]
    if (name === undefined) return { unusable: `unknown (${id})` }
    try {
      return loads[name](require)
    } catch (cause) {
      return { unusable: `${name}, whose package can't be loaded`, cause }
    }
  }
  return (id) => {
    const found = codecs.get(id) ?? find(id)
    codecs.set(id, found)
    return found
  }
}

export const codec: Codecs = make(createRequire(import.meta.url))
