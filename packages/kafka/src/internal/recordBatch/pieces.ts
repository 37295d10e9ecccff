/**
 * Piecewise decompression, so that no more is in memory than is needed.
 */
import { concat } from "@spillway/transport/runtime/Bytes"
import * as Window from "./window.js"

export interface Pieces {
  /** The next piece, a view that is valid until the next call; `undefined` at the end. Throws on malformed data. */
  readonly next: () => Uint8Array | undefined
  /** The bytes that it keeps in memory besides its input. */
  readonly heldBytes: () => number
}

/** The bytes that steps write to a window; each step writes at most one piece. */
export const of = (window: Window.Window, steps: Iterator<void>): Pieces => ({
  next: () => {
    while (steps.next().done !== true) if (window.at > window.next) return Window.take(window)
    return window.at > window.next ? Window.take(window) : undefined
  },
  heldBytes: () => window.buffer.length
})

/** Uncompressed bytes, in one piece. */
export const one = (bytes: Uint8Array): Pieces => {
  let left: Uint8Array | undefined = bytes
  return {
    next: () => {
      const piece = left
      left = undefined
      return piece
    },
    heldBytes: () => 0
  }
}

/** All pieces as one array; throws once they are more than `maxBytes`. */
export const collect = (pieces: Pieces, maxBytes: number): Uint8Array => {
  const parts: Array<Uint8Array> = []
  let size = 0
  for (let piece = pieces.next(); piece !== undefined; piece = pieces.next()) {
    size += piece.length
    if (size > maxBytes) throw new RangeError(`it holds more than ${maxBytes} bytes`)
    parts.push(piece.slice())
  }
  return concat(parts)
}
