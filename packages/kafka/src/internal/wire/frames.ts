import type { Attachment } from "./api.js"

/**
 * Cuts a stream of chunks into frames: an int32 size, then that number of bytes. Each frame is a buffer of its own, so
 * keeping one frame keeps no other in memory. Returns a function to call with each chunk. That function returns a
 * frame's size if it is below `minBytes` or above `maxBytes` (called at each frame's start); nothing can be read then.
 */
export const makeFrames = (
  minBytes: number,
  maxBytes: () => number,
  onFrame: (frame: Buffer) => void
): ((chunk: Buffer) => number | undefined) => {
  let size = 0
  let sizeBytes = 0
  let frame: Buffer | undefined
  let filled = 0
  return (chunk) => {
    let at = 0
    while (at < chunk.length) {
      if (frame === undefined) {
        size = (size << 8) | chunk[at++]!
        if (++sizeBytes < 4) continue
        if (size < minBytes || size > maxBytes()) return size
        frame = Buffer.allocUnsafe(size)
        filled = 0
      } else {
        const copied = chunk.copy(frame, filled, at)
        at += copied
        filled += copied
      }
      if (filled < size) continue
      const complete = frame
      frame = undefined
      size = 0
      sizeBytes = 0
      onFrame(complete)
    }
    return undefined
  }
}

/** Requests up to this size are copied into one buffer: the system writes one buffer faster than several. */
const copiedBytes = 16 * 1024

/** The buffers to write for a request. The request's size goes into the first four bytes of its head. */
export const piecesOf = (head: Buffer, attachments: ReadonlyArray<Attachment>): ReadonlyArray<Uint8Array> => {
  const size = attachments.reduce((sum, { bytes }) => sum + bytes.byteLength, head.length)
  head.writeInt32BE(size - 4, 0)
  const pieces: Array<Uint8Array> = []
  let from = 0
  for (const { at, bytes } of attachments) {
    pieces.push(head.subarray(from, at), bytes)
    from = at
  }
  if (from < head.length) pieces.push(head.subarray(from))
  return size <= copiedBytes && pieces.length > 1 ? [Buffer.concat(pieces, size)] : pieces
}
