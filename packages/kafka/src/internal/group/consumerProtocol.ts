/**
 * The consumer's embedded protocol: the data that members exchange through JoinGroup and SyncGroup, wire-compatible with
 * the Java client (ConsumerProtocolSubscription and ConsumerProtocolAssignment). Newer versions only append fields, so
 * the known fields of a newer version can still be read.
 */
import type { TopicPartition } from "@spillway/transport/Consumer"
import { byTopic } from "../topicPartition.js"

export interface Subscription {
  readonly topics: ReadonlyArray<string>
  /** The partitions that the member still owns; v1 and later. */
  readonly ownedPartitions: ReadonlyArray<TopicPartition>
  /** The last generation in which it owned them; -1 if it reports none. */
  readonly generationId: number
  /** The rack that it runs in, for reading from near replicas; v3 and later. */
  readonly rackId: string | null
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()

const write = (build: (put: Writer) => void): Uint8Array => {
  const bytes: Array<number> = []
  const int16 = (value: number) => bytes.push((value >> 8) & 0xff, value & 0xff)
  const int32 = (value: number) =>
    bytes.push((value >> 24) & 0xff, (value >> 16) & 0xff, (value >> 8) & 0xff, value & 0xff)
  build({
    int16,
    int32,
    string: (value) => {
      const text = encoder.encode(value)
      int16(text.length)
      for (const byte of text) bytes.push(byte)
    }
  })
  return Uint8Array.from(bytes)
}

interface Writer {
  readonly int16: (value: number) => void
  readonly int32: (value: number) => void
  readonly string: (value: string) => void
}

const reader = (bytes: Uint8Array) => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = 0
  const take = (length: number): number => {
    const start = at
    at += length
    if (length < 0 || at > bytes.byteLength) throw new RangeError(`${bytes.byteLength} bytes end inside a field`)
    return start
  }
  const int16 = () => view.getInt16(take(2))
  const int32 = () => view.getInt32(take(4))
  const nullableString = () => {
    const length = int16()
    return length === -1 ? null : decoder.decode(bytes.subarray(take(length), at))
  }
  const string = () => nullableString() ?? ""
  const array = <A>(read: () => A): Array<A> => {
    const length = Math.max(0, int32())
    if (length > bytes.byteLength - at)
      throw new RangeError(`${length} elements don't fit in ${bytes.byteLength} bytes`)
    return Array.from({ length }, read)
  }
  const skip = (length: number) => take(Math.max(0, length))
  return { int16, int32, string, nullableString, array, skip, atEnd: () => at >= bytes.byteLength }
}

type Reader = ReturnType<typeof reader>

const writePartitions = (put: Writer, partitions: ReadonlyArray<TopicPartition>) => {
  const topics = byTopic(partitions)
  put.int32(topics.size)
  for (const [topic, numbers] of topics) {
    put.string(topic)
    put.int32(numbers.length)
    for (const partition of numbers) put.int32(partition)
  }
}

const readPartitions = (from: Reader): ReadonlyArray<TopicPartition> =>
  from
    .array(() => {
      const topic = from.string()
      return from.array(from.int32).map((partition) => ({ topic, partition }))
    })
    .flat()

/**
 * Subscription v3: topics, user data, owned partitions, generation, rack. The user data is the generation, where Java's
 * cooperative-sticky assignor writes it: leaders from before v2 (Kafka 3.4) read it there.
 */
export const encodeSubscription = (subscription: Subscription): Uint8Array =>
  write((put) => {
    put.int16(3)
    put.int32(subscription.topics.length)
    for (const topic of subscription.topics) put.string(topic)
    put.int32(4)
    put.int32(subscription.generationId)
    writePartitions(put, subscription.ownedPartitions)
    put.int32(subscription.generationId)
    if (subscription.rackId === null) put.int16(-1)
    else put.string(subscription.rackId)
  })

/** Throws a RangeError if the bytes aren't a subscription. */
export const decodeSubscription = (bytes: Uint8Array): Subscription => {
  const from = reader(bytes)
  const version = from.int16()
  const topics = from.array(from.string)
  const userData = from.atEnd() ? 0 : Math.max(0, from.int32())
  // Only the cooperative-sticky assignor's user data has this length, and only its members own partitions.
  let generationId = -1
  if (version === 1 && userData === 4) generationId = from.int32()
  else from.skip(userData)
  const ownedPartitions = version >= 1 && !from.atEnd() ? readPartitions(from) : []
  if (version >= 2 && !from.atEnd()) generationId = from.int32()
  const rackId = version >= 3 && !from.atEnd() ? from.nullableString() : null
  return { topics, ownedPartitions, generationId, rackId }
}

/** Assignment v0: partitions, then user data, null if there is none. */
export const encodeAssignment = (
  partitions: ReadonlyArray<TopicPartition>,
  userData: Uint8Array = new Uint8Array(0)
): Uint8Array => {
  const encoded = write((put) => {
    put.int16(0)
    writePartitions(put, partitions)
    put.int32(userData.byteLength === 0 ? -1 : userData.byteLength)
  })
  const whole = new Uint8Array(encoded.byteLength + userData.byteLength)
  whole.set(encoded)
  whole.set(userData, encoded.byteLength)
  return whole
}

/** An empty assignment, as sent to a member without partitions, has no bytes at all. */
export const decodeAssignment = (bytes: Uint8Array): ReadonlyArray<TopicPartition> => readAssignment(bytes).partitions

/** The user data of an assignment; empty if there is none. */
export const userDataOf = (bytes: Uint8Array): Uint8Array => readAssignment(bytes).userData

const readAssignment = (bytes: Uint8Array) => {
  const none = new Uint8Array(0)
  if (bytes.byteLength === 0) return { partitions: [], userData: none }
  const from = reader(bytes)
  from.int16()
  const partitions = readPartitions(from)
  const length = from.atEnd() ? 0 : Math.max(0, from.int32())
  const start = from.skip(length)
  return { partitions, userData: bytes.subarray(start, start + length) }
}
