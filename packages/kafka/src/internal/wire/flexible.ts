/**
 * The primitive types of flexible versions (KIP-482). The header's tagged fields are written and read with the body, so
 * the connection doesn't need to know which versions are flexible.
 */
import type { Encoder } from "./kafkajs.js"
import type { Reader } from "./reader.js"

export const writeUnsignedVarint = (out: Encoder, value: number): void => {
  let left = value
  for (; left > 0x7f; left >>>= 7) out.writeInt8((((left & 0x7f) | 0x80) << 24) >> 24)
  out.writeInt8(left)
}

/** No tagged fields. */
export const writeTags = (out: Encoder): void => writeUnsignedVarint(out, 0)

export const writeString = (out: Encoder, value: string | null): void => {
  const bytes = Buffer.from(value ?? "", "utf8")
  writeUnsignedVarint(out, value === null ? 0 : bytes.length + 1)
  out.writeBuffer(bytes)
}

/** Null is written as null. */
export const writeArray = <A>(out: Encoder, elements: ReadonlyArray<A> | null, write: (element: A) => void): void => {
  writeUnsignedVarint(out, elements === null ? 0 : elements.length + 1)
  for (const element of elements ?? []) write(element)
}

/** Skips tagged fields: Spillway uses none in the versions that it supports. */
export const skipTags = (reader: Reader): void => {
  for (let left = reader.unsignedVarint(); left > 0; left--) {
    reader.unsignedVarint()
    reader.skip(reader.unsignedVarint())
  }
}

export const readNullableString = (reader: Reader): string | null => reader.text(reader.unsignedVarint() - 1)

/** A string; null is read as empty. */
export const readString = (reader: Reader): string => readNullableString(reader) ?? ""

/** A view of the bytes; null is read as empty. */
export const readBytes = (reader: Reader): Uint8Array => reader.view(reader.unsignedVarint() - 1)

/** An array; null is read as empty. Each element reads its own tagged fields. */
export const readArray = <A>(reader: Reader, element: (reader: Reader) => A): Array<A> =>
  reader.elements(reader.unsignedVarint() - 1, element)

/** Skips an array of int32s. */
export const skipInt32s = (reader: Reader): void => reader.skipElements(reader.unsignedVarint() - 1, 4)
