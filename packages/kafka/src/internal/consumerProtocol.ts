/**
 * The consumer's embedded protocol: what members tell each other through JoinGroup and SyncGroup, wire-compatible with
 * the Java client (ConsumerProtocolSubscription and ConsumerProtocolAssignment). Newer versions only add fields at the
 * end, so a version above the known ones is read as far as it is known.
 */
import type { TopicPartition } from "@spillway/transport/Consumer"

export interface Subscription {
  readonly topics: ReadonlyArray<string>
  /** What the member still owns; v1 and later. */
  readonly ownedPartitions: ReadonlyArray<TopicPartition>
  /** The generation in which it came to own them; v2 and later, else -1. */
  readonly generationId: number
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
    if (length < 0 || at > bytes.byteLength) throw new RangeError(`${bytes.byteLength} bytes end within a field`)
    return start
  }
  const int16 = () => view.getInt16(take(2))
  const int32 = () => view.getInt32(take(4))
  const string = () => {
    const start = take(int16())
    return decoder.decode(bytes.subarray(start, at))
  }
  const array = <A>(read: () => A): Array<A> => Array.from({ length: Math.max(0, int32()) }, read)
  const skip = (length: number) => take(Math.max(0, length))
  return { int16, int32, string, array, skip, atEnd: () => at >= bytes.byteLength }
}

type Reader = ReturnType<typeof reader>

const byTopic = (partitions: ReadonlyArray<TopicPartition>): Map<string, Array<number>> => {
  const topics = new Map<string, Array<number>>()
  for (const { topic, partition } of partitions) {
    const known = topics.get(topic)
    if (known === undefined) topics.set(topic, [partition])
    else known.push(partition)
  }
  return topics
}

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

/** Subscription v1: topics, null user data, owned partitions. */
export const encodeSubscription = (subscription: Omit<Subscription, "generationId">): Uint8Array =>
  write((put) => {
    put.int16(1)
    put.int32(subscription.topics.length)
    for (const topic of subscription.topics) put.string(topic)
    put.int32(-1)
    writePartitions(put, subscription.ownedPartitions)
  })

/** Throws a RangeError on bytes that are no subscription. */
export const decodeSubscription = (bytes: Uint8Array): Subscription => {
  const from = reader(bytes)
  const version = from.int16()
  const topics = from.array(from.string)
  if (!from.atEnd()) {
    from.skip(from.int32())
  }
  const ownedPartitions = version >= 1 && !from.atEnd() ? readPartitions(from) : []
  const generationId = version >= 2 && !from.atEnd() ? from.int32() : -1
  return { topics, ownedPartitions, generationId }
}

/** Assignment v0: partitions, null user data. */
export const encodeAssignment = (partitions: ReadonlyArray<TopicPartition>): Uint8Array =>
  write((put) => {
    put.int16(0)
    writePartitions(put, partitions)
    put.int32(-1)
  })

/** An empty assignment, as a member without partitions gets it, has no bytes at all. */
export const decodeAssignment = (bytes: Uint8Array): ReadonlyArray<TopicPartition> => {
  if (bytes.byteLength === 0) return []
  const from = reader(bytes)
  from.int16()
  return readPartitions(from)
}
