/**
 * Gzip, piece by piece, which zlib offers only asynchronously. Slower than zlib, so used only for large batches.
 * https://www.rfc-editor.org/rfc/rfc1951, https://www.rfc-editor.org/rfc/rfc1952
 */
import { crc32 } from "./crc.js"
import { viewOf } from "./layout.js"
import * as Pieces from "./pieces.js"
import * as Window from "./window.js"

const windowBytes = 32 * 1024

/** The longest match. */
const maxMatch = 258

const maxCodeBits = 15

/** Codes by their bits, in reading order: `symbol << 4 | length`; 0: none. */
interface Table {
  readonly codes: Uint16Array
  readonly mask: number
}

const reversed = (code: number, bits: number): number => {
  let result = 0
  for (let i = 0, left = code; i < bits; i++, left >>= 1) result = (result << 1) | (left & 1)
  return result
}

const tableOf = (lengths: Uint8Array): Table => {
  const counts = new Uint16Array(maxCodeBits + 1)
  let bits = 1
  for (const length of lengths) {
    counts[length]!++
    if (length > bits) bits = length
  }
  counts[0] = 0
  const next = new Uint16Array(maxCodeBits + 2)
  for (let length = 1; length <= maxCodeBits; length++) {
    const first = (next[length]! + counts[length]!) << 1
    if (next[length]! + counts[length]! > 1 << length) throw new RangeError("its codes are malformed")
    next[length + 1] = first
  }
  const codes = new Uint16Array(1 << bits)
  for (let symbol = 0; symbol < lengths.length; symbol++) {
    const length = lengths[symbol]!
    if (length === 0) continue
    const entry = (symbol << 4) | length
    for (let at = reversed(next[length]!++, length); at < codes.length; at += 1 << length) codes[at] = entry
  }
  return { codes, mask: codes.length - 1 }
}

const lengthOrder = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15] as const

/** The bases of codes whose extra bits grow by one every `step` codes. */
const basesOf = (count: number, step: number, first: number) => {
  const bases = new Uint16Array(count)
  const extras = new Uint8Array(count)
  let base = first
  for (let i = 0; i < count; i++) {
    extras[i] = Math.max(0, Math.floor(i / step) - 1)
    bases[i] = base
    base += 1 << extras[i]!
  }
  return { bases, extras }
}

const lengths = basesOf(29, 4, 3)
lengths.bases[28] = maxMatch
lengths.extras[28] = 0

const distances = basesOf(30, 2, 1)

const fixedLiterals = tableOf(Uint8Array.from({ length: 288 }, (_, i) => (i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8)))
const fixedDistances = tableOf(new Uint8Array(32).fill(5))

const endOfBlock = 256

/** The bits of a member, lowest bit of each byte first, and the window that they inflate to. */
class Inflater {
  at = 0
  bits = 0
  count = 0
  constructor(
    readonly bytes: Uint8Array,
    readonly window: Window.Window
  ) {}

  read(bits: number): number {
    while (this.count < bits) {
      if (this.at >= this.bytes.length) throw new RangeError("it is cut off")
      this.bits |= this.bytes[this.at++]! << this.count
      this.count += 8
    }
    const value = this.bits & ((1 << bits) - 1)
    this.bits >>>= bits
    this.count -= bits
    return value
  }

  /** Drops the remaining bits of the last byte, and returns whole bytes to the input. */
  align(): void {
    this.at -= this.count >> 3
    this.bits = 0
    this.count = 0
  }

  symbol({ codes, mask }: Table): number {
    while (this.count < maxCodeBits && this.at < this.bytes.length) {
      this.bits |= this.bytes[this.at++]! << this.count
      this.count += 8
    }
    const entry = codes[this.bits & mask]!
    const length = entry & 15
    if (length === 0 || length > this.count) throw new RangeError("it has an unknown code, or is cut off")
    this.bits >>>= length
    this.count -= length
    return entry >>> 4
  }

  /** Inflates up to one piece; true at the block's end. */
  codes(literals: Table, offsets: Table): boolean {
    const { window } = this
    Window.reserve(window, Window.pieceBytes + maxMatch)
    const { buffer } = window
    const end = window.at + Window.pieceBytes
    while (window.at < end) {
      const symbol = this.symbol(literals)
      if (symbol < endOfBlock) buffer[window.at++] = symbol
      else if (symbol === endOfBlock) return true
      else {
        const length = symbol - endOfBlock - 1
        if (length > 28) throw new RangeError("it has an unknown code")
        const count = lengths.bases[length]! + this.read(lengths.extras[length]!)
        const distance = this.symbol(offsets)
        if (distance > 29) throw new RangeError("it has an unknown code")
        Window.repeat(window, distances.bases[distance]! + this.read(distances.extras[distance]!), count)
      }
    }
    return false
  }

  tables(): readonly [literals: Table, offsets: Table] {
    const literalCount = this.read(5) + 257
    const distanceCount = this.read(5) + 1
    const codeCount = this.read(4) + 4
    const codeLengths = new Uint8Array(19)
    for (let i = 0; i < codeCount; i++) codeLengths[lengthOrder[i]!] = this.read(3)
    const table = tableOf(codeLengths)
    const all = new Uint8Array(literalCount + distanceCount)
    for (let i = 0; i < all.length; ) {
      const symbol = this.symbol(table)
      if (symbol < 16) {
        all[i++] = symbol
        continue
      }
      if (symbol === 16 && i === 0) throw new RangeError("its codes are malformed")
      const value = symbol === 16 ? all[i - 1]! : 0
      const count = symbol === 16 ? 3 + this.read(2) : symbol === 17 ? 3 + this.read(3) : 11 + this.read(7)
      if (i + count > all.length) throw new RangeError("its codes are malformed")
      all.fill(value, i, i + count)
      i += count
    }
    return [tableOf(all.subarray(0, literalCount)), tableOf(all.subarray(literalCount))]
  }
}

const Flag = { headerChecksum: 2, extra: 4, name: 8, comment: 16 } as const

const headerBytes = 10

const trailerBytes = 8

/** Where the blocks of the member at a position begin. */
const blocksAt = (bytes: Uint8Array, from: number): number => {
  if (bytes[from] !== 0x1f || bytes[from + 1] !== 0x8b || bytes[from + 2] !== 8) {
    throw new RangeError("it doesn't begin as gzip")
  }
  const flags = bytes[from + 3]!
  let at = from + headerBytes
  if ((flags & Flag.extra) !== 0) at += 2 + viewOf(bytes).getUint16(at, true)
  for (const text of [Flag.name, Flag.comment]) {
    if ((flags & text) === 0) continue
    while (at < bytes.length && bytes[at] !== 0) at++
    at++
  }
  return (flags & Flag.headerChecksum) === 0 ? at : at + 2
}

function* inflate(bytes: Uint8Array, window: Window.Window): Generator<void> {
  const inflater = new Inflater(bytes, window)
  for (let from = 0; from < bytes.length; from = inflater.at + trailerBytes) {
    inflater.at = blocksAt(bytes, from)
    Window.reset(window)
    let checksum = 0
    let size = 0
    const checked = (): void => {
      const piece = window.buffer.subarray(window.next, window.at)
      checksum = crc32(piece, checksum)
      size = (size + piece.length) >>> 0
    }
    for (let isLast = false; !isLast; ) {
      isLast = inflater.read(1) === 1
      const type = inflater.read(2)
      if (type === 0) {
        inflater.align()
        let left = inflater.read(16)
        if ((inflater.read(16) ^ 0xffff) !== left) throw new RangeError("a block's length is malformed")
        for (; left > 0; ) {
          const count = Math.min(left, Window.pieceBytes, bytes.length - inflater.at)
          if (count === 0) throw new RangeError("it is cut off")
          Window.reserve(window, count)
          Window.append(window, bytes, inflater.at, inflater.at + count)
          inflater.at += count
          left -= count
          checked()
          yield
        }
        continue
      }
      if (type === 3) throw new RangeError("it has an unknown type of block")
      const [literals, offsets] = type === 1 ? [fixedLiterals, fixedDistances] : inflater.tables()
      for (let isOver = false; !isOver; ) {
        isOver = inflater.codes(literals, offsets)
        checked()
        yield
      }
    }
    inflater.align()
    const trailer = viewOf(bytes)
    if (trailer.getUint32(inflater.at, true) !== checksum || trailer.getUint32(inflater.at + 4, true) !== size) {
      throw new RangeError("its checksum or its size differs")
    }
  }
}

export const pieces = (bytes: Uint8Array): Pieces.Pieces => {
  const window = Window.make(windowBytes)
  return Pieces.of(window, inflate(bytes, window))
}
