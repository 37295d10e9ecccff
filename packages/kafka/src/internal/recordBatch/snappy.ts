/**
 * Snappy, with the framing of Xerial's snappy-java as Java's clients write it, or without, as some other clients do.
 */
import { concat } from "@spillway/transport/runtime/Bytes"
import type { Codec, Load } from "./codec.js"
import { viewOf } from "./layout.js"
import * as Pieces from "./pieces.js"
import * as SnappyCompress from "./snappyCompress.js"
import * as Window from "./window.js"

/** `\x82SNAPPY\0`, then the frame's version and the oldest that can read it. */
const frameHeader = Uint8Array.of(0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1)

const magicBytes = 8

/** The same as snappy-java's. */
const blockBytes = 32 * 1024

const isFramed = (bytes: Uint8Array): boolean => {
  if (bytes.length < frameHeader.length) return false
  for (let i = 0; i < magicBytes; i++) if (bytes[i] !== frameHeader[i]) return false
  return true
}

/** A block's claimed content size in bytes, and where its elements begin. */
const headOf = (block: Uint8Array): { readonly size: number; readonly at: number } => {
  let size = 0
  for (let i = 0; i < 5; i++) {
    const byte = block[i]
    if (byte === undefined) break
    size += (byte & 0x7f) * 2 ** (7 * i)
    if (byte < 0x80) return { size, at: i + 1 }
  }
  throw new RangeError("a block doesn't begin with its size")
}

/** The highest compression ratio of a block: an element of three bytes copies 64. */
const maxRatio = 22

/** The sum of the blocks' claimed sizes, if they are possible. */
const contentBytes = (blocks: ReadonlyArray<Uint8Array>): number => {
  let sum = 0
  for (const block of blocks) {
    const { size } = headOf(block)
    if (size > maxRatio * block.length) throw new RangeError(`a block of ${block.length} bytes can't hold ${size}`)
    sum += size
  }
  return sum
}

/** How far back elements may refer when a block is read piece by piece: no known compressor exceeds it. */
const windowBytes = 64 * 1024

/** https://github.com/google/snappy/blob/main/format_description.txt */
function* decompressed(
  blocks: ReadonlyArray<Uint8Array>,
  window: Window.Window,
  whole: ((block: Uint8Array) => Uint8Array) | undefined
): Generator<void> {
  for (const block of blocks) {
    const head = headOf(block)
    if (whole !== undefined && head.size <= wholeBytes) {
      const content = whole(block)
      Window.reserve(window, content.length)
      Window.append(window, content, 0, content.length)
      yield
      continue
    }
    let { at } = head
    let left = head.size
    Window.reset(window)
    const integer = (bytes: number): number => {
      if (at + bytes > block.length) throw new RangeError("a block is cut off")
      let value = 0
      for (let i = 0; i < bytes; i++) value += block[at++]! * 2 ** (8 * i)
      return value
    }
    while (at < block.length) {
      const tag = block[at++]!
      const type = tag & 3
      const high = tag >> 2
      let length = type === 1 ? (high & 7) + 4 : high + 1
      if (type === 0 && high >= 60) length = integer(high - 59) + 1
      left -= length
      if (left < 0 || (type === 0 && at + length > block.length)) throw new RangeError("a block is malformed")
      if (type !== 0) {
        const distance = type === 1 ? ((tag >> 5) << 8) | integer(1) : integer(type === 2 ? 2 : 4)
        Window.reserve(window, length)
        Window.repeat(window, distance, length)
      }
      while (type === 0 && length > 0) {
        const part = Math.min(length, Window.pieceBytes)
        Window.reserve(window, part)
        Window.append(window, block, at, at + part)
        at += part
        length -= part
        if (length > 0) yield
      }
      if (window.at - window.next >= Window.pieceBytes) yield
    }
    if (left !== 0) throw new RangeError("a block is cut off")
  }
}

/** Blocks up to this size are decompressed whole, where that is possible. */
const wholeBytes = 64 * 1024

/** The blocks of a frame: each is an int32 size, then that number of bytes. */
const blocksOf = (bytes: Uint8Array): ReadonlyArray<Uint8Array> => {
  if (!isFramed(bytes)) return [bytes]
  const view = viewOf(bytes)
  const blocks: Array<Uint8Array> = []
  for (let at = frameHeader.length; at < bytes.length; ) {
    const size = view.getInt32(at)
    at += 4
    if (size < 0 || at + size > bytes.length) throw new RangeError(`a block of ${size} bytes doesn't fit in the frame`)
    blocks.push(bytes.subarray(at, at + size))
    at += size
  }
  return blocks
}

type Transform = (block: Uint8Array) => Uint8Array

/** The codec, with functions that compress and decompress one block without its framing. */
const codec = (compressBlock: Transform, whole: Transform | undefined): Codec => {
  const pieces = (blocks: ReadonlyArray<Uint8Array>): Pieces.Pieces => {
    const window = Window.make(windowBytes)
    return Pieces.of(window, decompressed(blocks, window, whole))
  }
  return {
    compress: (bytes) => {
      const parts: Array<Uint8Array> = [frameHeader]
      for (let at = 0; at < bytes.length; at += blockBytes) {
        const block = compressBlock(bytes.subarray(at, at + blockBytes))
        const size = new Uint8Array(4)
        viewOf(size).setInt32(0, block.length)
        parts.push(size, block)
      }
      return concat(parts)
    },
    pieces: (bytes) => pieces(blocksOf(bytes)),
    fits: (bytes, maxBytes) => contentBytes(blocksOf(bytes)) <= maxBytes,
    decompress: (bytes, maxBytes) => {
      const blocks = blocksOf(bytes)
      const size = contentBytes(blocks)
      if (size > maxBytes) throw new RangeError(`it holds ${size} bytes`)
      return whole === undefined ? Pieces.collect(pieces(blocks), maxBytes) : concat(blocks.map(whole))
    }
  }
}

const native: Load = (require) => {
  const { compressSync, uncompressSync } = require("snappy") as typeof import("snappy")
  // V8's own memory: the external memory that the package would return slows garbage collection down.
  const copyOutputData = true
  return codec(
    (block) => compressSync(block, { copyOutputData }),
    (block) => uncompressSync(block, { asBuffer: true, copyOutputData }) as Buffer
  )
}

/** Every implementation, the faster one first: a native package, then JavaScript. */
export const loads: ReadonlyArray<Load> = [native, () => codec(SnappyCompress.compress, undefined)]
