/**
 * Zstandard: Node's own if it has it (from 22.15 on), else compiled to WebAssembly if that package is found. Reading
 * needs neither.
 */
import { readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import * as Zlib from "node:zlib"
import { concat } from "@spillway/transport/runtime/Bytes"
import type { Codec, Load } from "./codec.js"
import * as Pieces from "./pieces.js"
import { framesOf } from "./zstdFrame.js"
import * as ZstdPieces from "./zstdPieces.js"

/** The same as Java's clients'. */
const level = 3

interface NativeZlib {
  readonly zstdCompressSync: (bytes: Uint8Array) => Uint8Array
  readonly zstdDecompressSync: (bytes: Uint8Array, options: { readonly maxOutputLength: number }) => Uint8Array
}

const zlib: object = Zlib

const hasZstd = (zlib: object): zlib is NativeZlib => "zstdCompressSync" in zlib && "zstdDecompressSync" in zlib

/** The most bytes that the frames can hold. */
const boundOf = (bytes: Uint8Array): number => framesOf(bytes).reduce((sum, { maxBytes }) => sum + maxBytes, 0)

const large: Pick<Codec, "fits" | "pieces"> = {
  fits: (bytes, maxBytes) => boundOf(bytes) <= maxBytes,
  pieces: ZstdPieces.pieces
}

const native = ({ zstdCompressSync, zstdDecompressSync }: NativeZlib): Codec => ({
  ...large,
  compress: (bytes) => zstdCompressSync(bytes),
  decompress: (bytes, maxBytes) => {
    let left = maxBytes
    // Node silently stops after the first frame, so decompress frame by frame.
    const parts = framesOf(bytes).map((frame) => {
      const part = zstdDecompressSync(frame.bytes, { maxOutputLength: Math.max(left, 1) })
      left -= part.length
      if (left < 0) throw new RangeError(`it holds more than ${maxBytes} bytes`)
      return part
    })
    return concat(parts)
  }
})

/** The package's own libzstd module, beneath its functions: those guess the decompressed size. */
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

/** The functions in use, which Node's types leave out. */
declare const WebAssembly: {
  readonly Module: new (code: Uint8Array) => object
  readonly Instance: new (module: object, imports: object) => object
}

/** Synchronous, unlike the package's own `init`. */
const instantiate = (require: NodeJS.Require): LibZstd => {
  const folder = dirname(require.resolve("@bokuweb/zstd-wasm"))
  const { Module: lib } = require(join(folder, "zstd.js")) as { readonly Module: LibZstd }
  if (lib.calledRun === true) return lib
  const code = new WebAssembly.Module(readFileSync(join(folder, "zstd.wasm")))
  lib.instantiateWasm = (imports, receive) => receive(new WebAssembly.Instance(code, imports))
  lib.init()
  return lib
}

const maxLibraryBytes = 8 * 1024 * 1024

const wasm = (lib: LibZstd): Codec => {
  const allocate = (size: number): number => {
    const pointer = lib._malloc(Math.max(size, 1))
    if (pointer === 0) throw new RangeError(`no memory for ${size} bytes`)
    return pointer
  }

  /** Passes the bytes to the library and returns a copy of its output. */
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
    ...large,
    compress: (bytes) =>
      call(bytes, lib._ZSTD_compressBound(bytes.length), (to, capacity, from, size) =>
        lib._ZSTD_compress(to, capacity, from, size, level)
      ),
    // The library's memory never shrinks, so large data is decompressed outside it.
    decompress: (bytes, maxBytes) => {
      const bound = boundOf(bytes)
      return bound > maxLibraryBytes
        ? Pieces.collect(ZstdPieces.pieces(bytes), maxBytes)
        : call(bytes, Math.min(bound, maxBytes), lib._ZSTD_decompress)
    }
  }
}

const readOnly: Codec = {
  ...large,
  compress: "the package @bokuweb/zstd-wasm, or Node 22.15 or later",
  decompress: (bytes, maxBytes) => Pieces.collect(ZstdPieces.pieces(bytes), maxBytes)
}

/** Every implementation that this runtime has, the faster one first: Node's, WebAssembly, JavaScript that only reads. */
export const loads: ReadonlyArray<Load> = [
  ...(hasZstd(zlib) ? [() => native(zlib)] : []),
  (require: NodeJS.Require) => wasm(instantiate(require)),
  () => readOnly
]
