/**
 * A compression codec of record batches.
 */
import type * as Pieces from "./pieces.js"

export type Compress = (bytes: Uint8Array) => Uint8Array

/** Its functions are synchronous: a batch that is encoded later must not be sent earlier. */
export interface Codec {
  /** Or what it needs, in words. */
  readonly compress: Compress | string
  /** Throws if the bytes are malformed or hold more than `maxBytes`; takes at most a few times that memory. */
  readonly decompress: (bytes: Uint8Array, maxBytes: number) => Uint8Array
  /** Whether the bytes seem to hold no more than `maxBytes`, without decompressing them. May throw. */
  readonly fits: (bytes: Uint8Array, maxBytes: number) => boolean
  /** Like `decompress`, but piece by piece, for any size. */
  readonly pieces: (bytes: Uint8Array) => Pieces.Pieces
}

/** Loads a codec; throws if its package can't be loaded. */
export type Load = (require: NodeJS.Require) => Codec
