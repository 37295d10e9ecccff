/**
 * Zstandard: Node's own where it has it (from 22.15 on), else compiled to WebAssembly.
 */
import { readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import * as Zlib from "node:zlib"
import type { Codec, Load } from "./compression.js"
import { join as concat } from "./join.js"
import { viewOf } from "./layout.js"

/** As Java's clients have it. */
const level = 3

interface NativeZlib {
  readonly zstdCompressSync: (bytes: Uint8Array) => Uint8Array
  readonly zstdDecompressSync: (bytes: Uint8Array, options: { readonly maxOutputLength: number }) => Uint8Array
}

const zlib: object = Zlib

const hasZstd = (zlib: object): zlib is NativeZlib => "zstdCompressSync" in zlib && "zstdDecompressSync" in zlib

const native = ({ zstdCompressSync, zstdDecompressSync }: NativeZlib): Codec => ({
  compress: (bytes) => zstdCompressSync(bytes),
  decompress: (bytes, maxBytes) => {
    let left = maxBytes
    // One at a time, for Node stops after the first without a word.
    const parts = framesOf(bytes).map((frame) => {
      const part = zstdDecompressSync(frame.bytes, { maxOutputLength: Math.max(left, 1) })
      left -= part.length
      if (left < 0) throw new RangeError(`it holds more than ${maxBytes} bytes`)
      return part
    })
    return concat(parts)
  }
})

/** The package's own module of libzstd, beneath its functions: those guess at the size of what is decompressed. */
interface LibZstd {
  instantiateWasm: (imports: object, receive: (instance: object) => void) => unknown
  readonly init: () => unknown
  /** True once it is ready. */
  readonly calledRun?: boolean
  readonly HEAPU8: Uint8Array
  readonly _malloc: (size: number) => number
  readonly _free: (pointer: number) => void
  readonly _ZSTD_isError: (size: number) => number
  readonly _ZSTD_compressBound: (size: number) => number
  readonly _ZSTD_compress: (to: number, capacity: number, from: number, size: number, level: number) => number
  readonly _ZSTD_decompress: (to: number, capacity: number, from: number, size: number) => number
}

/** What is used of it, since Node's types leave it out. */
declare const WebAssembly: {
  readonly Module: new (code: Uint8Array) => object
  readonly Instance: new (module: object, imports: object) => object
}

/** Synchronously, where the package's own `init` is not. */
const instantiate = (require: NodeJS.Require): LibZstd => {
  const folder = dirname(require.resolve("@bokuweb/zstd-wasm"))
  const { Module: lib } = require(join(folder, "zstd.js")) as { readonly Module: LibZstd }
  if (lib.calledRun === true) return lib
  const code = new WebAssembly.Module(readFileSync(join(folder, "zstd.wasm")))
  lib.instantiateWasm = (imports, receive) => receive(new WebAssembly.Instance(code, imports))
  lib.init()
  return lib
}

const wasm = (lib: LibZstd): Codec => {
  const allocate = (size: number): number => {
    const pointer = lib._malloc(Math.max(size, 1))
    if (pointer === 0) throw new RangeError(`no memory for ${size} bytes`)
    return pointer
  }

  /** Hands the bytes to the library and returns a copy of what it wrote. */
  const call = (
    bytes: Uint8Array,
    capacity: number,
    run: (to: number, capacity: number, from: number, size: number) => number
  ): Uint8Array => {
    const from = allocate(bytes.length)
    try {
      const to = allocate(capacity)
      try {
        lib.HEAPU8.set(bytes, from)
        const size = run(to, capacity, from, bytes.length)
        if (lib._ZSTD_isError(size) !== 0) throw new RangeError(`libzstd's error ${-size}`)
        return lib.HEAPU8.slice(to, to + size)
      } finally {
        lib._free(to)
      }
    } finally {
      lib._free(from)
    }
  }

  return {
    compress: (bytes) =>
      call(bytes, lib._ZSTD_compressBound(bytes.length), (to, capacity, from, size) =>
        lib._ZSTD_compress(to, capacity, from, size, level)
      ),
    decompress: (bytes, maxBytes) => {
      const bound = framesOf(bytes).reduce((sum, frame) => sum + frame.maxBytes, 0)
      return call(bytes, Math.min(bound, maxBytes), lib._ZSTD_decompress)
    }
  }
}

const magic = 0xfd2fb528

const maxBlockBytes = 128 * 1024

interface Frame {
  readonly bytes: Uint8Array
  /** What it holds at most. */
  readonly maxBytes: number
}

/**
 * The frames, and what each holds at most by its header or, where that doesn't tell as in a stream such as Java's, by
 * the headers of its blocks.
 * https://datatracker.ietf.org/doc/html/rfc8878#name-zstandard-frames
 */
const framesOf = (bytes: Uint8Array): ReadonlyArray<Frame> => {
  const view = viewOf(bytes)
  const frames: Array<Frame> = []
  for (let at = 0; at < bytes.length; ) {
    const start = at
    if (view.getUint32(at, true) !== magic) throw new RangeError("it doesn't begin as a Zstandard frame")
    const descriptor = view.getUint8(at + 4)
    const isSingleSegment = (descriptor & 0x20) !== 0
    at += 5 + (isSingleSegment ? 0 : 1) + [0, 1, 2, 4][descriptor & 3]!
    const sizeFlag = descriptor >> 6
    let content: number | undefined
    if (sizeFlag === 0 && isSingleSegment) content = view.getUint8(at++)
    else if (sizeFlag > 0) {
      if (sizeFlag === 1) content = view.getUint16(at, true) + 256
      else content = sizeFlag === 2 ? view.getUint32(at, true) : Number(view.getBigUint64(at, true))
      at += 1 << sizeFlag
    }
    let blocks = 0
    for (let isLast = false; !isLast; ) {
      const header = view.getUint16(at, true) | (view.getUint8(at + 2) << 16)
      isLast = (header & 1) !== 0
      const type = (header >> 1) & 3
      const size = header >> 3
      blocks += type === 2 ? maxBlockBytes : size
      at += 3 + (type === 1 ? 1 : size)
    }
    if ((descriptor & 4) !== 0) at += 4
    frames.push({ bytes: bytes.subarray(start, at), maxBytes: content ?? blocks })
  }
  return frames
}

/** Every implementation that this runtime has, the faster one first. */
export const loads: ReadonlyArray<Load> = [
  ...(hasZstd(zlib) ? [() => native(zlib)] : []),
  (require: NodeJS.Require) => wasm(instantiate(require))
]

export const load: Load = loads[0]!
