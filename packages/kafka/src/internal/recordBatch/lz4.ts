/**
 * LZ4, in its frame format. Java's clients read only independent blocks; other clients also write linked ones.
 */
import type { Codec, Load } from "./codec.js"
import { viewOf } from "./layout.js"
import * as Lz4Compress from "./lz4Compress.js"
import * as Pieces from "./pieces.js"
import * as Window from "./window.js"

const magic = 0x184d2204

const Flag = {
  independent: 0x20,
  blockChecksum: 0x10,
  contentSize: 0x08,
  contentChecksum: 0x04,
  dictionary: 0x01
} as const

/** How far back a block may refer. */
const windowBytes = 64 * 1024

/** The highest compression ratio of a block. */
const maxRatio = 255

interface Block {
  readonly from: number
  readonly to: number
  readonly isCompressed: boolean
  /** Whether it may refer to the blocks before it. */
  readonly isLinked: boolean
  /** The most bytes that it may hold. */
  readonly maxBytes: number
}

/**
 * The blocks of a frame. The content size in the header is ignored: nothing forces the frame to match it.
 * https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md
 */
function* blocksOf(bytes: Uint8Array): Generator<Block> {
  const view = viewOf(bytes)
  if (view.getUint32(0, true) !== magic) throw new RangeError("it doesn't begin as an LZ4 frame")
  const flags = view.getUint8(4)
  const maxBlockBytes = 1 << (8 + 2 * ((view.getUint8(5) >> 4) & 7))
  let at = 7 + ((flags & Flag.contentSize) !== 0 ? 8 : 0) + ((flags & Flag.dictionary) !== 0 ? 4 : 0)
  for (let header = view.getUint32(at, true); header !== 0; header = view.getUint32(at, true)) {
    const size = header & 0x7fffffff
    const isCompressed = header < 0x80000000
    const from = at + 4
    const to = from + size
    if (to > bytes.length) throw new RangeError(`a block of ${size} bytes doesn't fit in the frame`)
    const maxBytes = Math.min(maxBlockBytes, isCompressed ? maxRatio * size : size)
    yield { from, to, isCompressed, maxBytes, isLinked: (flags & Flag.independent) === 0 }
    at = to + ((flags & Flag.blockChecksum) !== 0 ? 4 : 0)
  }
}

/** The most bytes that a frame can hold, by its blocks. All but the last block are usually full. */
const boundOf = (bytes: Uint8Array): number => {
  let bound = 0
  for (const { maxBytes } of blocksOf(bytes)) bound += maxBytes
  return bound
}

const fits = (bytes: Uint8Array, maxBytes: number): boolean => boundOf(bytes) <= maxBytes

function* decompressed(bytes: Uint8Array, window: Window.Window): Generator<void> {
  for (const block of blocksOf(bytes)) {
    if (!block.isLinked) Window.reset(window)
    if (!block.isCompressed) yield* written(bytes, block.from, block.to, window)
    else yield* decompressedBlock(bytes, block, window)
  }
}

/** Uncompressed bytes, a piece at a time. */
function* written(bytes: Uint8Array, from: number, to: number, window: Window.Window): Generator<void> {
  for (let at = from; at < to; at += Window.pieceBytes) {
    const end = Math.min(to, at + Window.pieceBytes)
    Window.reserve(window, end - at)
    Window.append(window, bytes, at, end)
    yield
  }
}

/** A nibble of 15 is followed by bytes to add, up to the first that isn't 255. */
const lastNibble = 15

const minMatch = 4

function* decompressedBlock(bytes: Uint8Array, { from, maxBytes, to }: Block, window: Window.Window): Generator<void> {
  let at = from
  let left = maxBytes
  const extended = (nibble: number): number => {
    let length = nibble
    if (nibble === lastNibble) {
      let byte: number
      do {
        if (at >= to) throw new RangeError("a block is cut off")
        byte = bytes[at++]!
        length += byte
      } while (byte === 255)
    }
    return length
  }
  const count = (length: number): number => {
    left -= length
    if (left < 0) throw new RangeError(`a block holds more than ${maxBytes} bytes`)
    return length
  }
  while (true) {
    if (at >= to) throw new RangeError("a block is cut off")
    const token = bytes[at++]!
    const literals = count(extended(token >> 4))
    if (at + literals > to) throw new RangeError("a block is cut off")
    if (literals > Window.pieceBytes) yield* written(bytes, at, at + literals, window)
    else {
      Window.reserve(window, literals)
      Window.append(window, bytes, at, at + literals)
    }
    at += literals
    if (at === to) break
    if (at + 2 > to) throw new RangeError("a block is cut off")
    const distance = bytes[at]! | (bytes[at + 1]! << 8)
    at += 2
    for (let length = count(extended(token & lastNibble) + minMatch); length > 0; ) {
      const part = Math.min(length, Window.pieceBytes)
      Window.reserve(window, part)
      Window.repeat(window, distance, part)
      length -= part
      if (window.at - window.next >= Window.pieceBytes) yield
    }
  }
}

const pieces = (bytes: Uint8Array): Pieces.Pieces => {
  const window = Window.make(windowBytes)
  return Pieces.of(window, decompressed(bytes, window))
}

const bufferOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

const native: Load = (require) => {
  const { compressFrameSync, decompressFrameSync } = require("lz4-napi") as typeof import("lz4-napi")
  return {
    compress: (bytes) => compressFrameSync(bufferOf(bytes)),
    pieces,
    fits,
    decompress: (bytes, maxBytes) => {
      if (boundOf(bytes) > maxBytes) return Pieces.collect(pieces(bytes), maxBytes)
      // Copied into V8's own memory: the result's external memory slows garbage collection down.
      return new Uint8Array(decompressFrameSync(bufferOf(bytes)))
    }
  }
}

const portable: Codec = {
  compress: Lz4Compress.compress,
  pieces,
  fits,
  decompress: (bytes, maxBytes) => Pieces.collect(pieces(bytes), maxBytes)
}

/** Every implementation, the faster one first: a native package, then JavaScript. */
export const loads: ReadonlyArray<Load> = [native, () => portable]
