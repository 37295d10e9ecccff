/**
 * A compression codec of record batches.
 */
import type * as Pieces from "./pieces.js"

/** Both functions are synchronous, since batches that are encoded later must not be sent earlier. */
export interface Codec {
  readonly compress: (bytes: Uint8Array) => Uint8Array
  /** Throws when the bytes are malformed or hold more than `maxBytes`; takes no more memory than a few times as much. */
  readonly decompress: (bytes: Uint8Array, maxBytes: number) => Uint8Array
  /** Whether the bytes seem to hold no more than `maxBytes`, found without decompressing them. May throw. */
  readonly fits: (bytes: Uint8Array, maxBytes: number) => boolean
  /** The same as `decompress`, piece by piece, whatever they hold. */
  readonly pieces: (bytes: Uint8Array) => Pieces.Pieces
}

/** Loads a codec's package; throws when that fails. */
export type Load = (require: NodeJS.Require) => Codec
