/**
 * Java's `RangeAssignor`: topic by topic, each subscribed member in order of its id gets a run of neighbouring
 * partitions; the first members get one more where they don't divide evenly.
 */
import type { TopicPartition } from "@spillway/transport/Consumer"

export interface Member {
  readonly memberId: string
  /** A static member's id; it sorts by this, so that a restart moves nothing. */
  readonly groupInstanceId: string | null
  readonly topics: ReadonlyArray<string>
}

/** Every member's partitions, also those of a member that gets none. */
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

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

const compareMembers = (a: Member, b: Member): number => {
  if (a.groupInstanceId !== null && b.groupInstanceId !== null) return compareText(a.groupInstanceId, b.groupInstanceId)
  if (a.groupInstanceId !== null) return -1
  if (b.groupInstanceId !== null) return 1
  return compareText(a.memberId, b.memberId)
}
