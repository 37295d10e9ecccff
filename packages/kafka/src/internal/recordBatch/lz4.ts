/**
 * LZ4, in its frame format with independent blocks, the only ones that Java's clients read.
 */
import type { Codec } from "./compression.js"
import { viewOf } from "./layout.js"

const magic = 0x184d2204

const Flag = { contentSize: 0x08, blockChecksum: 0x10, dictionary: 0x01 } as const

/** A compressed block becomes at most this many times larger. */
const maxRatio = 255

/**
 * What a frame holds at most, in bytes, by the headers of its blocks. Full blocks, which all but the last mostly are,
 * count as they are.
 * https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md
 */
const boundOf = (bytes: Uint8Array): number => {
  const view = viewOf(bytes)
  if (view.getUint32(0, true) !== magic) throw new RangeError("it doesn't begin as an LZ4 frame")
  const flags = view.getUint8(4)
  const maxBlockBytes = 1 << (8 + 2 * ((view.getUint8(5) >> 4) & 7))
  if ((flags & Flag.contentSize) !== 0) return Number(view.getBigUint64(6, true))
  let at = 7 + ((flags & Flag.dictionary) !== 0 ? 4 : 0)
  let bound = 0
  for (let header = view.getUint32(at, true); header !== 0; header = view.getUint32(at, true)) {
    const size = header & 0x7fffffff
    const isCompressed = header < 0x80000000
    bound += isCompressed ? Math.min(maxBlockBytes, maxRatio * size) : size
    at += 4 + size + ((flags & Flag.blockChecksum) !== 0 ? 4 : 0)
  }
  return bound
}

const bufferOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

export const load = (require: NodeJS.Require): Codec => {
  const { compressFrameSync, decompressFrameSync } = require("lz4-napi") as typeof import("lz4-napi")
  return {
    compress: (bytes) => compressFrameSync(bufferOf(bytes)),
    decompress: (bytes, maxBytes) => {
      const bound = boundOf(bytes)
      if (bound > maxBytes) throw new RangeError(`it may hold ${bound} bytes`)
      // Copied into memory of V8's own: the external memory of the result slows garbage collection down.
      return new Uint8Array(decompressFrameSync(bufferOf(bytes)))
    }
  }
}
