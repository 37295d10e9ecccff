/**
 * The simulation's own decoder of the members' metadata, so that it doesn't rely on the code under test.
 */
import type { TopicPartition } from "@spillway/transport/Consumer"

const decoder = new TextDecoder()

const reader = (bytes: Uint8Array) => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = 0
  const int16 = (): number => {
    at += 2
    return view.getInt16(at - 2)
  }
  const int32 = (): number => {
    at += 4
    return view.getInt32(at - 4)
  }
  const string = (): string => {
    const length = int16()
    at += length
    return decoder.decode(bytes.subarray(at - length, at))
  }
  const array = <A>(read: () => A): Array<A> => {
    const items: Array<A> = []
    for (let left = int32(); left > 0; left--) items.push(read())
    return items
  }
  const skipBytes = (): void => {
    const length = int32()
    at += Math.max(0, length)
  }
  const partitions = (): ReadonlyArray<TopicPartition> =>
    array(() => {
      const topic = string()
      return array(int32).map((partition) => ({ topic, partition }))
    }).flat()
  return { int16, string, array, skipBytes, partitions, atEnd: () => at >= bytes.byteLength }
}

/** The partitions of an assignment. */
export const assigned = (assignment: Uint8Array): ReadonlyArray<TopicPartition> => {
  if (assignment.byteLength === 0) return []
  const from = reader(assignment)
  from.int16()
  return from.partitions()
}

/** The partitions that a joining member still owns, by its metadata. */
export const owned = (subscription: Uint8Array): ReadonlyArray<TopicPartition> => {
  const from = reader(subscription)
  const version = from.int16()
  from.array(from.string)
  from.skipBytes()
  return version === 0 || from.atEnd() ? [] : from.partitions()
}
