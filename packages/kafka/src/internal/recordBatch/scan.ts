/**
 * One pass over a batch's records: checks that every length fits, and notes the positions of the fields.
 */
import type { Headers } from "@spillway/transport/Headers"
import type { DecodedRecord } from "./types.js"

/** The data that the records of one batch share. */
export interface Source {
  /** The records alone, decompressed. */
  readonly bytes: Uint8Array
  readonly baseOffset: number
  /** Undefined when every record has `appendTimestamp`. */
  readonly baseTimestamp: number
  readonly appendTimestamp: number | undefined
}

const decoder = new TextDecoder()

const text = (bytes: Uint8Array, start: number, end: number): string => {
  let ascii = ""
  for (let i = start; i < end; i++) {
    const byte = bytes[i]!
    if (byte > 0x7f) return decoder.decode(bytes.subarray(start, end))
    ascii += String.fromCharCode(byte)
  }
  return ascii
}

const readHeaders = (bytes: Uint8Array, from: number, count: number): Headers => {
  let at = from
  // Only bytes that the scan has found well-formed are read here.
  const length = (): number => {
    let bits = 0
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++]!
      bits |= (byte & 0x7f) << shift
      if (byte < 0x80) return (bits >>> 1) ^ -(bits & 1)
    }
  }
  const headers: Array<Headers[number]> = []
  for (let i = 0; i < count; i++) {
    const nameEnd = length() + at
    const name = text(bytes, at, nameEnd)
    at = nameEnd
    const valueLength = length()
    headers.push([name, valueLength < 0 ? null : bytes.subarray(at, at + valueLength)])
    if (valueLength > 0) at += valueLength
  }
  return headers
}

const noHeaders: Headers = []

/** A record as positions in its batch; only small integers, so that V8 allocates nothing else. */
class RecordView implements DecodedRecord {
  #headers: Headers | undefined = undefined
  constructor(
    private readonly source: Source,
    private readonly offsetDelta: number,
    private readonly timestampDelta: number,
    private readonly keyAt: number,
    private readonly keyLength: number,
    private readonly valueAt: number,
    private readonly valueLength: number,
    private readonly headersAt: number,
    private readonly headerCount: number
  ) {}
  get offset(): number {
    return this.source.baseOffset + this.offsetDelta
  }
  get timestamp(): number {
    return this.source.appendTimestamp ?? this.source.baseTimestamp + this.timestampDelta
  }
  get key(): Uint8Array | null {
    return this.keyLength < 0 ? null : this.source.bytes.subarray(this.keyAt, this.keyAt + this.keyLength)
  }
  get value(): Uint8Array | null {
    return this.valueLength < 0 ? null : this.source.bytes.subarray(this.valueAt, this.valueAt + this.valueLength)
  }
  get headers(): Headers {
    if (this.headerCount === 0) return noHeaders
    this.#headers ??= readHeaders(this.source.bytes, this.headersAt, this.headerCount)
    return this.#headers
  }
}

/** The position after malformed data: past every end. */
const astray = 0x7fffffff

/** Length, attributes, timestamp, offset, key, value and header count take at least a byte each. */
const smallestRecord = 7

/** How far the records of a batch have been scanned. */
export interface Progress {
  /** The number of records in the header, and their last offset delta. */
  readonly count: number
  readonly lastOffsetDelta: number
  /** How many records were scanned, and the offset delta of the last of them. */
  scanned: number
  previous: number
}

export const start = (count: number, lastOffsetDelta: number): Progress => ({
  count,
  lastOffsetDelta,
  scanned: 0,
  previous: -1
})

/** Some records of a batch, and the scan's state after them. */
export interface Scanned {
  readonly records: ReadonlyArray<DecodedRecord>
  /** Where they end. */
  readonly at: number
  /** How many bytes the next, incomplete record takes, as far as is known; else 0. */
  readonly needed: number
  /** The error in the next record, if any. */
  readonly wrong: string | undefined
}

/** The most bytes of a record's size field. */
export const sizeBytes = 5

/**
 * Scans records from a position until they take `maxBytes`, each counted with `overhead` extra bytes (but at least one
 * record), or until a record is incomplete or malformed.
 */
export const scan = (
  source: Source,
  progress: Progress,
  from: number,
  to: number,
  /** Whether more bytes follow the available ones. */
  isPartial: boolean,
  maxBytes: number,
  overhead: number
): Scanned => {
  const { bytes } = source
  const { count, lastOffsetDelta } = progress
  let at = from
  let end = to

  const varint = (): number => {
    if (at >= end) {
      at = astray
      return 0
    }
    const first = bytes[at++]!
    if (first < 0x80) return (first >>> 1) ^ -(first & 1)
    let bits = first & 0x7f
    for (let shift = 7; shift <= 28 && at < end; shift += 7) {
      const byte = bytes[at++]!
      bits |= (byte & 0x7f) << shift
      if (byte < 0x80) {
        if (shift === 28 && byte > 0x0f) break
        return (bits >>> 1) ^ -(bits & 1)
      }
    }
    at = astray
    return 0
  }

  const varlong = (): number => {
    const start = at
    const short = varint()
    if (at !== astray) return short
    let bits = 0n
    at = start
    for (let shift = 0n; shift < 70n && at < end; shift += 7n) {
      const byte = bytes[at++]!
      bits |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return Number(BigInt.asIntN(64, (bits >> 1n) ^ -(bits & 1n)))
    }
    at = astray
    return 0
  }

  /** Walks past a field and returns its length: -1 for null. */
  const skip = (): number => {
    const length = varint()
    if (length > 0) at += length
    else if (length < -1) at = astray
    return length
  }

  const skipHeader = (): void => {
    if (skip() < 0) at = astray
    skip()
  }

  const left = count - progress.scanned
  const most = Math.min(left, (to - from) / smallestRecord, maxBytes / (smallestRecord + overhead))
  const records = new Array<DecodedRecord>(Math.floor(most) + (most < left ? 1 : 0))
  let found = 0
  let taken = 0
  let begin = from
  const result = (needed: number, wrong: string | undefined): Scanned => {
    records.length = found
    return { records, at: begin, needed, wrong }
  }

  while (found < left) {
    const i = progress.scanned
    end = to
    const size = varint()
    if (isPartial && at === astray && to - begin < sizeBytes) return result(sizeBytes, undefined)
    end = at + size
    if (size < 0 || at === astray) return result(0, `record ${i} of ${count} doesn't fit in the batch`)
    if (end > to) {
      return isPartial ? result(end - begin, undefined) : result(0, `record ${i} of ${count} doesn't fit in the batch`)
    }
    taken += end - begin + overhead
    if (taken > maxBytes && found > 0) return result(0, undefined)
    at++
    const timestampDelta = varlong()
    const offsetDelta = varint()
    const keyLength = skip()
    const keyAt = at - keyLength
    const valueLength = skip()
    const valueAt = at - valueLength
    const headerCount = varint()
    const headersAt = at
    if (headerCount < 0) at = astray
    for (let h = 0; h < headerCount && at <= end; h++) skipHeader()
    if (at !== end) return result(0, `record ${i} of ${count} has fields that don't fit in its ${size} bytes`)
    if (offsetDelta <= progress.previous || offsetDelta > lastOffsetDelta) {
      const { previous } = progress
      return result(
        0,
        `record ${i} of ${count} has the offset delta ${offsetDelta} after ${previous}, the last is ${lastOffsetDelta}`
      )
    }
    progress.previous = offsetDelta
    progress.scanned++
    begin = at
    records[found++] = new RecordView(
      source,
      offsetDelta,
      timestampDelta,
      keyAt,
      keyLength,
      valueAt,
      valueLength,
      headersAt,
      headerCount
    )
  }
  return result(0, undefined)
}

/** All records of a batch, or the error in them. */
export const scanAll = (
  source: Source,
  count: number,
  lastOffsetDelta: number
): ReadonlyArray<DecodedRecord> | string => {
  const size = source.bytes.length
  if (count > size / smallestRecord) return `${count} records don't fit in ${size} bytes`
  const { at, records, wrong } = scan(source, start(count, lastOffsetDelta), 0, size, false, Number.MAX_SAFE_INTEGER, 0)
  return wrong ?? (at === size ? records : `${size - at} bytes are left after its ${count} records`)
}
