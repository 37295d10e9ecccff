/**
 * Zstandard, piece by piece, which neither Node (synchronously) nor the package offers. Slower, so used only for large
 * batches.
 * https://datatracker.ietf.org/doc/html/rfc8878
 */
import { viewOf } from "./layout.js"
import * as Pieces from "./pieces.js"
import * as Window from "./window.js"
import * as Frame from "./zstdFrame.js"

const malformed = (what: string): RangeError => new RangeError(`its ${what} are malformed`)

/** Bits read from the end of bytes to their start; the last byte's highest set bit marks the end. */
class BackwardBits {
  /** Bits left; below zero after reading more than there are. */
  left: number
  constructor(
    readonly bytes: Uint8Array,
    readonly from: number,
    to: number
  ) {
    const last = bytes[to - 1] ?? 0
    if (to <= from || last === 0) throw malformed("bits")
    this.left = (to - from) * 8 - 1 - Math.clz32(last << 24)
  }

  /** The next bits, up to 25 of them, without advancing; those beyond the start are zeros. */
  peek(count: number): number {
    const low = this.left - count
    if (low < 0) {
      if (this.left <= 0) return 0
      return (this.gather(0) & ((1 << this.left) - 1)) << -low
    }
    return (this.gather(low >> 3) >>> (low & 7)) & ((1 << count) - 1)
  }

  private gather(index: number): number {
    const { bytes } = this
    const at = this.from + index
    return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
  }

  read(count: number): number {
    if (count > 16) {
      const high = this.read(count - 16)
      return high * 65_536 + this.read(16)
    }
    const value = this.peek(count)
    this.left -= count
    return value
  }
}

/** An FSE decoding table: each state's symbol, and how to compute the next state. */
interface States {
  readonly log: number
  readonly symbols: Uint8Array
  readonly bits: Uint8Array
  readonly bases: Uint16Array
}

const oneState = (symbol: number): States => ({
  log: 0,
  symbols: Uint8Array.of(symbol),
  bits: Uint8Array.of(0),
  bases: Uint16Array.of(0)
})

const statesOf = (counts: ArrayLike<number>, log: number): States => {
  const size = 1 << log
  const symbols = new Uint8Array(size)
  const next = new Uint16Array(counts.length)
  let high = size - 1
  for (let symbol = 0; symbol < counts.length; symbol++) {
    if (counts[symbol] === -1) {
      symbols[high--] = symbol
      next[symbol] = 1
    } else next[symbol] = counts[symbol]!
  }
  const step = (size >> 1) + (size >> 3) + 3
  let position = 0
  for (let symbol = 0; symbol < counts.length; symbol++) {
    for (let i = 0; i < counts[symbol]!; i++) {
      symbols[position] = symbol
      do position = (position + step) & (size - 1)
      while (position > high)
    }
  }
  if (position !== 0) throw malformed("tables")
  const bits = new Uint8Array(size)
  const bases = new Uint16Array(size)
  for (let state = 0; state < size; state++) {
    const value = next[symbols[state]!]!++
    const count = log - (31 - Math.clz32(value))
    bits[state] = count
    bases[state] = (value << count) - size
  }
  return { log, symbols, bits, bases }
}

/** The table that is described at a position, and the position after it. */
const readStates = (bytes: Uint8Array, from: number, to: number, maxLog: number, maxSymbol: number) => {
  let at = from * 8
  const end = to * 8
  const peek = (count: number): number => {
    const byte = at >> 3
    const word = bytes[byte]! | (bytes[byte + 1]! << 8) | (bytes[byte + 2]! << 16) | (bytes[byte + 3]! << 24)
    return (word >>> (at & 7)) & ((1 << count) - 1)
  }
  const read = (count: number): number => {
    const value = peek(count)
    at += count
    return value
  }
  const log = read(4) + 5
  if (log > maxLog) throw malformed("tables")
  const counts: Array<number> = []
  let left = (1 << log) + 1
  while (left > 1) {
    if (counts.length > maxSymbol || at > end) throw malformed("tables")
    const bits = 32 - Math.clz32(left)
    const threshold = (1 << bits) - 1 - left
    const low = peek(bits - 1)
    let value: number
    if (low < threshold) {
      value = low
      at += bits - 1
    } else {
      value = peek(bits)
      at += bits
      if (value >= 1 << (bits - 1)) value -= threshold
    }
    const count = value - 1
    left -= Math.abs(count)
    counts.push(count)
    if (count !== 0) continue
    for (let zeros = 3; zeros === 3; ) {
      zeros = read(2)
      for (let i = 0; i < zeros; i++) counts.push(0)
    }
  }
  if (left !== 1 || counts.length > maxSymbol + 1 || at > end) throw malformed("tables")
  return { states: statesOf(counts, log), at: (at + 7) >> 3 }
}

/** A Huffman table of literals: the symbol and its length in bits for every code of `bits` bits. */
interface Codes {
  readonly bits: number
  readonly symbols: Uint8Array
  readonly lengths: Uint8Array
}

const maxCodeBits = 11

const codesOf = (weights: ReadonlyArray<number>): Codes => {
  let sum = 0
  for (const weight of weights) if (weight > 0) sum += 1 << (weight - 1)
  const bits = 32 - Math.clz32(sum)
  const rest = (1 << bits) - sum
  if (sum === 0 || bits > maxCodeBits || (rest & (rest - 1)) !== 0) throw malformed("codes")
  // The last weight is the difference to a power of two.
  const all = [...weights, 32 - Math.clz32(rest)]
  if (all.length > 256) throw malformed("codes")
  const symbols = new Uint8Array(1 << bits)
  const lengths = new Uint8Array(1 << bits)
  let at = 0
  for (let weight = 1; weight <= bits; weight++) {
    for (let symbol = 0; symbol < all.length; symbol++) {
      if (all[symbol] !== weight) continue
      const end = at + (1 << (weight - 1))
      symbols.fill(symbol, at, end)
      lengths.fill(bits + 1 - weight, at, end)
      at = end
    }
  }
  return { bits, symbols, lengths }
}

/** The weights of codes are packed in nibbles or by FSE. */
const readCodes = (bytes: Uint8Array, from: number, limit: number) => {
  const head = bytes[from]!
  const weights: Array<number> = []
  if (head >= 128) {
    const count = head - 127
    const to = from + 1 + ((count + 1) >> 1)
    if (to > limit) throw malformed("codes")
    for (let i = 0; i < count; i++) weights.push((bytes[from + 1 + (i >> 1)]! >> (i % 2 === 0 ? 4 : 0)) & 15)
    return { codes: codesOf(weights), at: to }
  }
  const to = from + 1 + head
  if (to > limit) throw malformed("codes")
  const { at, states } = readStates(bytes, from + 1, to, 6, 255)
  const input = new BackwardBits(bytes, at, to)
  let one = input.read(states.log)
  let other = input.read(states.log)
  // Two states take turns; the first without enough bits left ends the stream, and the other holds the last weight.
  while (weights.length < 255) {
    weights.push(states.symbols[one]!)
    if (input.left < states.bits[one]!) {
      weights.push(states.symbols[other]!)
      break
    }
    one = states.bases[one]! + input.read(states.bits[one]!)
    weights.push(states.symbols[other]!)
    if (input.left < states.bits[other]!) {
      weights.push(states.symbols[one]!)
      break
    }
    other = states.bases[other]! + input.read(states.bits[other]!)
  }
  return { codes: codesOf(weights), at: to }
}

const readLiterals = (
  bytes: Uint8Array,
  from: number,
  to: number,
  codes: Codes,
  out: Uint8Array,
  start: number,
  end: number
): void => {
  const input = new BackwardBits(bytes, from, to)
  const { bits, lengths, symbols } = codes
  for (let at = start; at < end; at++) {
    const code = input.peek(bits)
    out[at] = symbols[code]!
    input.left -= lengths[code]!
  }
  if (input.left !== 0) throw malformed("literals")
}

const literalLengths = {
  bases: [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 20, 22, 24, 28, 32, 40, 48, 64, 128, 256, 512, 1024,
    2048, 4096, 8192, 16384, 32768, 65536
  ],
  bits: [
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16
  ]
}

const matchLengths = {
  bases: [
    3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33,
    34, 35, 37, 39, 41, 43, 47, 51, 59, 67, 83, 99, 131, 259, 515, 1027, 2051, 4099, 8195, 16387, 32771, 65539
  ],
  bits: [
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3,
    3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16
  ]
}

/** One kind of number in a sequence: its default table, and the limits of a described one. */
interface Kind {
  readonly usual: States
  readonly maxLog: number
  readonly maxSymbol: number
}

const literalKind: Kind = {
  usual: statesOf(
    [4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1],
    6
  ),
  maxLog: 9,
  maxSymbol: 35
}

const matchKind: Kind = {
  usual: statesOf(
    [
      1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
      1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1
    ],
    6
  ),
  maxLog: 9,
  maxSymbol: 52
}

const offsetKind: Kind = {
  usual: statesOf([1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1], 5),
  maxLog: 8,
  maxSymbol: 31
}

/** The state that a frame's blocks pass to the next block. */
interface State {
  codes: Codes | undefined
  literals: States | undefined
  offsets: States | undefined
  matches: States | undefined
  /** The last distances. */
  readonly last: [number, number, number]
}

const decodeBlock = (bytes: Uint8Array, from: number, to: number, state: State, window: Window.Window): void => {
  Window.reserve(window, Frame.maxBlockBytes)
  const limit = window.at + Frame.maxBlockBytes
  let at = from
  const need = (count: number): void => {
    if (at + count > to) throw new RangeError("a block is cut off")
  }

  need(1)
  const head = bytes[at]!
  const literalsType = head & 3
  const format = (head >> 2) & 3
  let literals: Uint8Array
  let literalsAt = 0
  let literalsEnd: number
  if (literalsType < 2) {
    const headBytes = format === 1 ? 2 : format === 3 ? 3 : 1
    need(headBytes)
    const size =
      headBytes === 1 ? head >> 3 : (head | (bytes[at + 1]! << 8) | (headBytes === 3 ? bytes[at + 2]! << 16 : 0)) >> 4
    if (size > Frame.maxBlockBytes) throw malformed("literals")
    at += headBytes
    if (literalsType === 0) {
      need(size)
      literals = bytes
      literalsAt = at
      literalsEnd = at + size
      at += size
    } else {
      need(1)
      literals = new Uint8Array(size).fill(bytes[at++]!)
      literalsEnd = size
    }
  } else {
    const headBytes = format < 2 ? 3 : format + 2
    need(headBytes)
    const word = (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16)) >>> 4
    const sizeBits = format < 2 ? 10 : format === 2 ? 14 : 18
    const high = headBytes > 3 ? bytes[at + 3]! + (headBytes > 4 ? bytes[at + 4]! * 256 : 0) : 0
    const both = word + high * 2 ** 20
    const size = both % 2 ** sizeBits
    const packed = Math.floor(both / 2 ** sizeBits)
    at += headBytes
    need(packed)
    if (size > Frame.maxBlockBytes) throw malformed("literals")
    const end = at + packed
    if (literalsType === 2) {
      const read = readCodes(bytes, at, end)
      state.codes = read.codes
      at = read.at
    }
    const { codes } = state
    if (codes === undefined) throw malformed("literals")
    literals = new Uint8Array(size)
    literalsEnd = size
    if (format === 0) readLiterals(bytes, at, end, codes, literals, 0, size)
    else {
      const each = (size + 3) >> 2
      let start = at + 6
      if (start > end) throw malformed("literals")
      for (let i = 0; i < 4; i++) {
        const stop = i === 3 ? end : start + (bytes[at + 2 * i]! | (bytes[at + 2 * i + 1]! << 8))
        if (stop > end) throw malformed("literals")
        readLiterals(
          bytes,
          start,
          stop,
          codes,
          literals,
          Math.min(size, i * each),
          i === 3 ? size : Math.min(size, (i + 1) * each)
        )
        start = stop
      }
    }
    at = end
  }

  const copyLiterals = (count: number): void => {
    if (literalsAt + count > literalsEnd || window.at + count > limit) throw malformed("sequences")
    Window.append(window, literals, literalsAt, literalsAt + count)
    literalsAt += count
  }

  need(1)
  let count = bytes[at++]!
  if (count >= 128) {
    if (count < 255) {
      need(1)
      count = ((count - 128) << 8) + bytes[at++]!
    } else {
      need(2)
      count = bytes[at]! + (bytes[at + 1]! << 8) + 0x7f00
      at += 2
    }
  }
  if (count > 0) {
    need(1)
    const modes = bytes[at++]!
    const table = (mode: number, kind: Kind, before: States | undefined): States => {
      if (mode === 0) return kind.usual
      if (mode === 3) {
        if (before === undefined) throw malformed("tables")
        return before
      }
      if (mode === 2) {
        const read = readStates(bytes, at, to, kind.maxLog, kind.maxSymbol)
        at = read.at
        return read.states
      }
      need(1)
      const symbol = bytes[at++]!
      if (symbol > kind.maxSymbol) throw malformed("tables")
      return oneState(symbol)
    }
    const literalStates = table(modes >> 6, literalKind, state.literals)
    const offsetStates = table((modes >> 4) & 3, offsetKind, state.offsets)
    const matchStates = table((modes >> 2) & 3, matchKind, state.matches)
    state.literals = literalStates
    state.offsets = offsetStates
    state.matches = matchStates

    const input = new BackwardBits(bytes, at, to)
    const { last } = state
    let literalState = input.read(literalStates.log)
    let offsetState = input.read(offsetStates.log)
    let matchState = input.read(matchStates.log)
    while (true) {
      const offsetCode = offsetStates.symbols[offsetState]!
      const matchCode = matchStates.symbols[matchState]!
      const literalCode = literalStates.symbols[literalState]!
      const value = 2 ** offsetCode + input.read(offsetCode)
      const matchLength = matchLengths.bases[matchCode]! + input.read(matchLengths.bits[matchCode]!)
      const literalLength = literalLengths.bases[literalCode]! + input.read(literalLengths.bits[literalCode]!)
      let distance: number
      if (value > 3) {
        distance = value - 3
        last[2] = last[1]
        last[1] = last[0]
        last[0] = distance
      } else {
        const index = literalLength === 0 ? value : value - 1
        distance = index === 0 ? last[0] : index === 3 ? last[0] - 1 : last[index as 1 | 2]
        if (index > 1) last[2] = last[1]
        if (index > 0) last[1] = last[0]
        last[0] = distance
      }
      copyLiterals(literalLength)
      if (window.at + matchLength > limit) throw malformed("sequences")
      Window.repeat(window, distance, matchLength)
      if (--count === 0) break
      literalState = literalStates.bases[literalState]! + input.read(literalStates.bits[literalState]!)
      matchState = matchStates.bases[matchState]! + input.read(matchStates.bits[matchState]!)
      offsetState = offsetStates.bases[offsetState]! + input.read(offsetStates.bits[offsetState]!)
      if (input.left < 0) throw malformed("sequences")
    }
    if (input.left !== 0) throw malformed("sequences")
  }
  copyLiterals(literalsEnd - literalsAt)
}

function* decompressed(bytes: Uint8Array, frames: ReadonlyArray<Frame.Frame>, windows: Window.Window): Generator<void> {
  const view = viewOf(bytes)
  for (const frame of frames) {
    const state: State = {
      codes: undefined,
      literals: undefined,
      offsets: undefined,
      matches: undefined,
      last: [1, 4, 8]
    }
    Window.reset(windows)
    for (let at = frame.blocksAt, isLast = false; !isLast; ) {
      const block = Frame.blockAt(view, at)
      isLast = block.isLast
      const { from, to } = block
      if (block.type === Frame.BlockType.compressed) decodeBlock(bytes, from, to, state, windows)
      else {
        if (block.size > Frame.maxBlockBytes) throw malformed("blocks")
        Window.reserve(windows, block.size)
        if (block.type === Frame.BlockType.raw) Window.append(windows, bytes, from, to)
        else {
          windows.buffer.fill(bytes[from]!, windows.at, windows.at + block.size)
          windows.at += block.size
        }
      }
      at = to
      yield
    }
  }
}

export const pieces = (bytes: Uint8Array): Pieces.Pieces => {
  const frames = Frame.framesOf(bytes)
  const window = Window.make(frames.reduce((most, { windowBytes }) => Math.max(most, windowBytes), 0))
  return Pieces.of(window, decompressed(bytes, frames, window))
}
