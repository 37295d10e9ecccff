/**
 * One walk over a batch's records: checks that every length fits, and notes where the fields lie.
 */
import type { Headers } from "@spillway/transport/Headers"
import type { DecodedRecord } from "../../RecordBatch.js"

/** What the records of one batch share. */
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

/** A record as positions in its batch; small integers only, so that V8 allocates nothing besides. */
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

/** Where a walk that met something malformed stands: past every end. */
const astray = 0x7fffffff

/** Length, attributes, timestamp, offset, key, value and header count take a byte each at least. */
const smallestRecord = 7

/** The records, or what is wrong with them. */
export const scan = (source: Source, count: number, lastOffsetDelta: number): ReadonlyArray<DecodedRecord> | string => {
  const { bytes } = source
  if (count > bytes.length / smallestRecord) return `${count} records don't fit in ${bytes.length} bytes`
  let at = 0
  let end = bytes.length

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

  const records = new Array<DecodedRecord>(count)
  let previous = -1
  for (let i = 0; i < count; i++) {
    end = bytes.length
    const size = varint()
    end = at + size
    if (size < 0 || end > bytes.length) return `record ${i} of ${count} doesn't fit in the batch`
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
    if (at !== end) return `record ${i} of ${count} has fields that don't fit in its ${size} bytes`
    if (offsetDelta <= previous || offsetDelta > lastOffsetDelta) {
      return `record ${i} of ${count} has the offset delta ${offsetDelta} after ${previous}, the last is ${lastOffsetDelta}`
    }
    previous = offsetDelta
    records[i] = new RecordView(
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
  return at === bytes.length ? records : `${bytes.length - at} bytes are left after its ${count} records`
}
