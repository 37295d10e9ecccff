/**
 * Java's `RangeAssignor`: topic by topic, each subscribed member in order of its id gets consecutive partitions. If
 * they don't divide evenly, the first members get one more.
 */
import type { TopicPartition } from "@spillway/transport/Consumer"
import { compareMembers, type Member } from "./members.js"

/** Every member's partitions, including members without any. */
export const assign = (
  members: ReadonlyArray<Member>,
  partitionCounts: ReadonlyMap<string, number>
): Map<string, Array<TopicPartition>> => {
  const assignment = new Map(members.map((member) => [member.memberId, [] as Array<TopicPartition>]))
  const ordered = [...members].sort(compareMembers)
  for (const [topic, count] of partitionCounts) {
    const subscribed = ordered.filter((member) => member.topics.includes(topic))
    if (subscribed.length === 0) continue
    const each = Math.floor(count / subscribed.length)
    const extra = count % subscribed.length
    let partition = 0
    for (const [index, member] of subscribed.entries()) {
      const end = partition + each + (index < extra ? 1 : 0)
      for (; partition < end; partition++) assignment.get(member.memberId)!.push({ topic, partition })
    }
  }
  return assignment
}
