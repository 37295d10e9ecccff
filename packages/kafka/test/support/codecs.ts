import { createRequire } from "node:module"
import type { Codec, Compress } from "../../src/internal/recordBatch/codec.js"
import * as Compression from "../../src/internal/recordBatch/compression.js"

/** The `require` of this repository, which has every package. */
export const installed = createRequire(import.meta.url)

/** Every implementation of a codec that this runtime has: native, WebAssembly and JavaScript. */
export const codecsOf = (name: keyof typeof Compression.ids): ReadonlyArray<Codec> =>
  Compression.loads[name].map((load) => load(installed))

/** The compressor of a codec that has one. */
export const compressOf = ({ compress }: Codec): Compress => {
  if (typeof compress === "string") throw new Error(`It needs ${compress}`)
  return compress
}

/** The `require` of a place where no package is installed. */
export const requireNothing = createRequire("/nowhere/")
