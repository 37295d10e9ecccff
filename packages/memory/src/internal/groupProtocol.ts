/**
 * The protocol (the assignor, by name) that a group's members agree on, and the topics in their subscriptions.
 */
import type { JoinGroupRequest } from "@spillway/kafka/Protocol"
import type { Draft, Group, Member } from "./groupState.js"

/** The protocols that every member supports. */
const candidates = (draft: Draft): ReadonlyArray<string> => {
  const [first, ...others] = [...draft.members.values()].map(({ protocols }) => protocols.map(({ name }) => name))
  return (first ?? []).filter((name) => others.every((names) => names.includes(name)))
}

/** Every member votes for the first candidate in its own list. */
export const selectProtocol = (draft: Draft): string => {
  const common = candidates(draft)
  const votes = new Map(common.map((name) => [name, 0]))
  for (const { protocols } of draft.members.values()) {
    const vote = protocols.find(({ name }) => votes.has(name))
    if (vote !== undefined) votes.set(vote.name, votes.get(vote.name)! + 1)
  }
  return common.reduce((best, name) => (votes.get(name)! > votes.get(best)! ? name : best), common[0] ?? "")
}

export const supports = (draft: Draft, { protocols, protocolType }: JoinGroupRequest): boolean => {
  if (protocolType === "" || protocols.length === 0) return false
  if (draft.members.size === 0) return true
  const common = candidates(draft)
  return protocolType === draft.protocolType && protocols.some(({ name }) => common.includes(name))
}

export const sameProtocols = (one: Member["protocols"], other: Member["protocols"]): boolean =>
  one.length === other.length &&
  one.every(({ metadata, name }, index) => {
    const against = other[index]!
    return name === against.name && sameBytes(metadata, against.metadata)
  })

const sameBytes = (one: Uint8Array, other: Uint8Array): boolean =>
  one.length === other.length && one.every((byte, index) => byte === other[index])

/** The topics at the start of a subscription; undefined if the bytes aren't one. */
const topicsOf = (subscription: Uint8Array): ReadonlyArray<string> | undefined => {
  const view = new DataView(subscription.buffer, subscription.byteOffset, subscription.byteLength)
  const decoder = new TextDecoder()
  const topics: Array<string> = []
  try {
    let at = 6
    for (let left = view.getInt32(2); left > 0; left--) {
      const end = at + 2 + view.getInt16(at)
      if (end > subscription.byteLength) return undefined
      topics.push(decoder.decode(subscription.subarray(at + 2, end)))
      at = end
    }
    return topics
  } catch {
    return undefined
  }
}

/** Whether a member subscribes to a topic. Kafka takes a subscription that it can't read for one to every topic. */
export const subscribes = ({ members, protocol }: Group, topic: string): boolean =>
  Array.from(members.values()).some(({ protocols }) => {
    const subscription = protocols.find(({ name }) => name === protocol)?.metadata
    return (subscription === undefined ? undefined : topicsOf(subscription))?.includes(topic) ?? true
  })
