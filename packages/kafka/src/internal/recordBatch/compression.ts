/**
 * The compression codecs by the id in a batch's attributes.
 */
import * as Zlib from "node:zlib"
import type { Compression } from "../../RecordBatch.js"

export interface Codec {
  readonly name: string
  readonly compress: (bytes: Uint8Array) => Uint8Array
  /** Throws when the bytes are malformed or hold more than `maxBytes`. */
  readonly decompress: (bytes: Uint8Array, maxBytes: number) => Uint8Array
}

/** The names of all ids, for what can't be read. */
export const names: ReadonlyArray<string> = ["none", "gzip", "snappy", "lz4", "zstd"]

export const ids: Readonly<Record<Compression, number>> = { none: 0, gzip: 1 }

const gzip: Codec = {
  name: "gzip",
  compress: (bytes) => Zlib.gzipSync(bytes),
  // Copied, since zlib's result may be a short view of a larger chunk.
  decompress: (bytes, maxOutputLength) => new Uint8Array(Zlib.gunzipSync(bytes, { maxOutputLength }))
}

/** The codecs that are built in; id 0 needs none. */
export const codecs: ReadonlyMap<number, Codec> = new Map([[ids.gzip, gzip]])
