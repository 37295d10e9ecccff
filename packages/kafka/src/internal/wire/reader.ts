/** The default limit of values decoded from one response: a million takes up to 100 MB. */
const defaultMaxObjects = 1024 * 1024

/** A view of bytes takes as much memory as this number of small objects. */
const objectsPerView = 4

/**
 * The protocol's primitive types, read in order from a response. Reading past the end, an invalid value, or more values
 * than the limit throws a RangeError: an element of few bytes takes many times its size in memory. (kafkajs's Decoder
 * reads a cut-off string as a shorter one, and a cut-off int64 as NaN.)
 */
export class Reader {
  readonly #bytes: Buffer
  readonly #maxObjects: number
  #offset = 0
  #objects = 0

  constructor(bytes: Buffer, maxObjects: number = defaultMaxObjects) {
    this.#bytes = bytes
    this.#maxObjects = maxObjects
  }

  #count(objects: number): void {
    this.#objects += objects
    if (this.#objects > this.#maxObjects) {
      throw new RangeError(`more than ${this.#maxObjects} values in a response of ${this.#bytes.length} bytes`)
    }
  }

  /** Skips `length` bytes and returns where they begin. */
  #take(length: number): number {
    const start = this.#offset
    if (length < 0 || start + length > this.#bytes.length) {
      throw new RangeError(`${length} bytes at ${start} of a response of ${this.#bytes.length}`)
    }
    this.#offset = start + length
    return start
  }

  get remaining(): number {
    return this.#bytes.length - this.#offset
  }

  boolean(): boolean {
    return this.#bytes.readInt8(this.#take(1)) !== 0
  }

  int8(): number {
    return this.#bytes.readInt8(this.#take(1))
  }

  int16(): number {
    return this.#bytes.readInt16BE(this.#take(2))
  }

  int32(): number {
    return this.#bytes.readInt32BE(this.#take(4))
  }

  bigint64(): bigint {
    this.#count(1)
    return this.#bytes.readBigInt64BE(this.#take(8))
  }

  /** An int64 that must be exact as a number, such as an offset. */
  int64(): number {
    const value = this.#int64()
    if (!Number.isSafeInteger(value)) throw new RangeError(`int64 ${value} at ${this.#offset - 8} is beyond 2^53 - 1`)
    return value
  }

  /** Milliseconds, for information: a value beyond 2^53 (some clients write nanoseconds) is rounded, not refused. */
  timestamp(): number {
    return this.#int64()
  }

  #int64(): number {
    const at = this.#take(8)
    return this.#bytes.readInt32BE(at) * 2 ** 32 + this.#bytes.readUInt32BE(at + 4)
  }

  /** A varint of up to 32 bits. */
  unsignedVarint(): number {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const byte = this.#bytes[this.#take(1)]!
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
      if (shift === 28) throw new RangeError(`varint of more than 5 bytes at ${this.#offset - 5}`)
    }
  }

  /** As Kafka prints it; empty for the zero id, which means none. */
  uuid(): string {
    this.#count(1)
    const start = this.#take(16)
    const bytes = this.#bytes.subarray(start, this.#offset)
    return bytes.every((byte) => byte === 0) ? "" : bytes.toString("base64url")
  }

  skip(length: number): void {
    this.#take(length)
  }

  nullableString(): string | null {
    return this.text(this.int16())
  }

  /** UTF-8 of `length` bytes; null for -1. */
  text(length: number): string | null {
    if (length === -1) return null
    const start = this.#take(length)
    this.#count(1)
    return this.#bytes.toString("utf8", start, start + length)
  }

  /** A string; null is read as empty. */
  string(): string {
    return this.nullableString() ?? ""
  }

  /** A view of the bytes; null is read as empty. Not a Buffer, whose `slice` doesn't copy as users expect. */
  bytes(): Uint8Array {
    return this.view(this.int32())
  }

  /** A view of `length` bytes; an empty one for -1. */
  view(length: number): Uint8Array {
    const start = this.#take(length === -1 ? 0 : length)
    this.#count(objectsPerView)
    return new Uint8Array(this.#bytes.buffer, this.#bytes.byteOffset + start, this.#offset - start)
  }

  /** A view of the remaining bytes. */
  rest(): Buffer {
    return this.#bytes.subarray(this.#take(this.remaining))
  }

  /** An array; null is read as empty. */
  array<A>(element: (reader: Reader) => A): Array<A> {
    return this.elements(this.int32(), element)
  }

  /** Skips an array of int32s. */
  skipInt32s(): void {
    this.skipElements(this.int32(), 4)
  }

  /** An array of `length` elements; empty for -1. Each takes at least one byte. */
  elements<A>(length: number, element: (reader: Reader) => A): Array<A> {
    if (length < -1 || length > this.remaining) {
      throw new RangeError(`array of ${length} elements before the last ${this.remaining} bytes of a response`)
    }
    this.#count(1)
    const elements: Array<A> = []
    for (let i = 0; i < length; i++) {
      this.#count(1)
      elements.push(element(this))
    }
    return elements
  }

  /** Skips `count` elements of a fixed size; none for -1. */
  skipElements(length: number, elementBytes: number): void {
    if (length !== -1) this.#take(length * elementBytes)
  }
}
