/**
 * Snappy, in the frame of Xerial's snappy-java as Java's clients write it, or bare as some other clients do.
 */
import type { Codec } from "./compression.js"
import { join } from "./join.js"
import { viewOf } from "./layout.js"

/** `\x82SNAPPY\0`, then the frame's version and the oldest that can read it. */
const frameHeader = Uint8Array.of(0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1)

const magicBytes = 8

/** As snappy-java has it. */
const blockBytes = 32 * 1024

const isFramed = (bytes: Uint8Array): boolean => {
  if (bytes.length < frameHeader.length) return false
  for (let i = 0; i < magicBytes; i++) if (bytes[i] !== frameHeader[i]) return false
  return true
}

/** What a block says it holds, in bytes. */
const contentBytes = (block: Uint8Array): number => {
  let size = 0
  for (let i = 0; i < 5; i++) {
    const byte = block[i]
    if (byte === undefined) break
    size += (byte & 0x7f) * 2 ** (7 * i)
    if (byte < 0x80) return size
  }
  throw new RangeError("a block doesn't begin with its size")
}

/** The blocks of a frame: each is an int32 size and as many bytes. */
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

export const load = (require: NodeJS.Require): Codec => {
  const { compressSync, uncompressSync } = require("snappy") as typeof import("snappy")
  // Memory of V8's own: the external memory that the package would give out slows garbage collection down.
  const copyOutputData = true
  return {
    compress: (bytes) => {
      const parts: Array<Uint8Array> = [frameHeader]
      for (let at = 0; at < bytes.length; at += blockBytes) {
        const block = compressSync(bytes.subarray(at, at + blockBytes), { copyOutputData })
        const size = new Uint8Array(4)
        viewOf(size).setInt32(0, block.length)
        parts.push(size, block)
      }
      return join(parts)
    },
    decompress: (bytes, maxBytes) => {
      const blocks = blocksOf(bytes)
      const size = blocks.reduce((sum, block) => sum + contentBytes(block), 0)
      if (size > maxBytes) throw new RangeError(`it holds ${size} bytes`)
      return join(blocks.map((block) => uncompressSync(block, { asBuffer: true, copyOutputData }) as Buffer))
    }
  }
}
