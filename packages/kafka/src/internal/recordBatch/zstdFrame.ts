/**
 * The frames of Zstandard data and their blocks.
 * https://datatracker.ietf.org/doc/html/rfc8878#name-zstandard-frames
 */
import { viewOf } from "./layout.js"

const magic = 0xfd2fb528

export const maxBlockBytes = 128 * 1024

/** The same as libzstd's. */
const maxWindowBytes = 128 * 1024 * 1024

export const BlockType = { raw: 0, repeated: 1, compressed: 2 } as const

export interface Block {
  readonly isLast: boolean
  readonly type: number
  /** The content's size in bytes; of a compressed block, the compressed size. */
  readonly size: number
  readonly from: number
  readonly to: number
}

/** The block at a position; throws where it doesn't fit. */
export const blockAt = (view: DataView, at: number): Block => {
  const header = view.getUint16(at, true) | (view.getUint8(at + 2) << 16)
  const type = (header >> 1) & 3
  const size = header >> 3
  const from = at + 3
  const to = from + (type === BlockType.repeated ? 1 : size)
  if (type > BlockType.compressed || to > view.byteLength) throw new RangeError("a block is malformed or cut off")
  return { isLast: (header & 1) !== 0, type, size, from, to }
}

export interface Frame {
  readonly bytes: Uint8Array
  /** Where its first block begins, in the bytes of all frames. */
  readonly blocksAt: number
  /** How far back it may refer. */
  readonly windowBytes: number
  /** The most bytes that it may hold. */
  readonly maxBytes: number
}

/**
 * The frames, and the most bytes that each can hold by its blocks' headers, or by its own header if that claims less:
 * the claim is enforced.
 */
export const framesOf = (bytes: Uint8Array): ReadonlyArray<Frame> => {
  const view = viewOf(bytes)
  const frames: Array<Frame> = []
  for (let at = 0; at < bytes.length; ) {
    const start = at
    if (view.getUint32(at, true) !== magic) throw new RangeError("it doesn't begin as a Zstandard frame")
    const descriptor = view.getUint8(at + 4)
    const isSingleSegment = (descriptor & 0x20) !== 0
    at += 5
    const windowDescriptor = isSingleSegment ? 0 : view.getUint8(at++)
    at += [0, 1, 2, 4][descriptor & 3]!
    const sizeFlag = descriptor >> 6
    let content: number | undefined
    if (sizeFlag === 0 && isSingleSegment) content = view.getUint8(at++)
    else if (sizeFlag > 0) {
      if (sizeFlag === 1) content = view.getUint16(at, true) + 256
      else content = sizeFlag === 2 ? view.getUint32(at, true) : Number(view.getBigUint64(at, true))
      at += 1 << sizeFlag
    }
    const windowBase = 2 ** (10 + (windowDescriptor >> 3))
    const windowBytes = isSingleSegment ? (content ?? 0) : windowBase + (windowBase / 8) * (windowDescriptor & 7)
    const blocksAt = at
    let blocks = 0
    for (let isLast = false; !isLast; ) {
      const block = blockAt(view, at)
      isLast = block.isLast
      blocks += block.type === BlockType.compressed ? maxBlockBytes : block.size
      at = block.to
    }
    if ((descriptor & 4) !== 0) at += 4
    if (Math.min(windowBytes, blocks) > maxWindowBytes) {
      throw new RangeError(`it refers back ${windowBytes} bytes, more than ${maxWindowBytes}`)
    }
    const maxBytes = Math.min(content ?? blocks, blocks)
    frames.push({ bytes: bytes.subarray(start, at), blocksAt, windowBytes: Math.min(windowBytes, blocks), maxBytes })
  }
  return frames
}
