/**
 * Keeps the guarantees of Java's `CooperativeStickyAssignor` (KIP-54, KIP-429): members with equal subscriptions get
 * equal counts, to within one; no partition moves without need; and a partition that moves stays unassigned until the
 * rebalance after the one in which its owner revokes it.
 */
import type { TopicPartition } from "@spillway/transport/Consumer"
import { keyOf } from "../topicPartition.js"
import { compareMembers, type Member } from "./members.js"

export interface StickyMember extends Member {
  readonly ownedPartitions: ReadonlyArray<TopicPartition>
  /** The last generation in which it owned them; -1 when unknown. */
  readonly generationId: number
}

/** Every member's partitions, including members without any; partitions on the move are left out. */
export const assign = (
  members: ReadonlyArray<StickyMember>,
  partitionCounts: ReadonlyMap<string, number>
): Map<string, Array<TopicPartition>> => {
  const owners = ownersOf(members)
  const isFree = (memberId: string) => (partition: TopicPartition) => {
    const owner = owners.get(keyOf(partition))
    return owner === undefined || owner === memberId
  }
  return new Map(
    Array.from(balance(members, partitionCounts), ([memberId, partitions]) => [
      memberId,
      partitions.filter(isFree(memberId))
    ])
  )
}

/** The owner of a partition that two members claim: neither keeps it. */
const contested = Symbol("contested")

/** The owner of each partition, by the members' claims. Of two claims, the one of the later generation wins. */
const ownersOf = (members: ReadonlyArray<StickyMember>): Map<string, string | typeof contested> => {
  const owners = new Map<string, string | typeof contested>()
  const generations = new Map<string, number>()
  for (const { generationId, memberId, ownedPartitions } of members) {
    for (const partition of ownedPartitions) {
      const key = keyOf(partition)
      const other = generations.get(key)
      if (other !== undefined && other > generationId) continue
      owners.set(key, other === generationId ? contested : memberId)
      generations.set(key, generationId)
    }
  }
  return owners
}

/** A member while partitions are being assigned. */
interface Hand {
  readonly memberId: string
  count: number
  /** The partitions that it holds of each subscribed topic; those that it owned come first. */
  readonly topics: Map<string, Array<number>>
}

/** The target assignment, once everything that moves has moved. */
export const balance = (
  members: ReadonlyArray<StickyMember>,
  partitionCounts: ReadonlyMap<string, number>
): Map<string, Array<TopicPartition>> => {
  const hands = [...members].sort(compareMembers).map(
    ({ memberId, topics }): Hand => ({
      memberId,
      count: 0,
      topics: new Map(topics.filter((topic) => partitionCounts.has(topic)).map((topic) => [topic, []]))
    })
  )
  const subscribers = new Map(
    Array.from(partitionCounts.keys(), (topic) => [topic, hands.filter(({ topics }) => topics.has(topic))])
  )
  const owners = ownersOf(members)
  const byId = new Map(hands.map((hand) => [hand.memberId, hand]))
  // Topics with few subscribers come first: their partitions have the least choice.
  const topics = Array.from(subscribers).sort(([, a], [, b]) => a.length - b.length)
  const unowned: Array<readonly [topic: string, partition: number, readers: ReadonlyArray<Hand>]> = []
  for (const [topic, readers] of topics) {
    if (readers.length === 0) continue
    for (let partition = 0; partition < partitionCounts.get(topic)!; partition++) {
      const owner = owners.get(keyOf({ topic, partition }))
      const hand = typeof owner === "string" ? byId.get(owner) : undefined
      if (hand?.topics.has(topic)) give(hand, topic, partition)
      else unowned.push([topic, partition, readers])
    }
  }
  for (const [topic, partition, readers] of unowned) give(leastLoaded(readers, topic), topic, partition)
  for (let move = nextMove(hands, subscribers); move !== undefined; move = nextMove(hands, subscribers)) {
    give(move.to, move.topic, move.from.topics.get(move.topic)!.pop()!)
    move.from.count--
  }
  return new Map(hands.map((hand) => [hand.memberId, partitionsOf(hand)]))
}

const give = (hand: Hand, topic: string, partition: number): void => {
  hand.topics.get(topic)!.push(partition)
  hand.count++
}

const heldOf = (hand: Hand, topic: string): number => hand.topics.get(topic)!.length

/** The member that holds the fewest partitions, and of those, the fewest of the topic. */
const leastLoaded = (readers: ReadonlyArray<Hand>, topic: string): Hand =>
  readers.reduce((least, hand) =>
    hand.count < least.count || (hand.count === least.count && heldOf(hand, topic) < heldOf(least, topic))
      ? hand
      : least
  )

interface Move {
  readonly from: Hand
  readonly to: Hand
  readonly topic: string
}

/** The member that holds the most, of those that can give to a member that holds at least two fewer. */
const nextMove = (
  hands: ReadonlyArray<Hand>,
  subscribers: ReadonlyMap<string, ReadonlyArray<Hand>>
): Move | undefined => {
  const receivers = new Map(
    Array.from(subscribers)
      .filter(([, readers]) => readers.length > 0)
      .map(([topic, readers]) => [topic, leastLoaded(readers, topic)])
  )
  for (const from of [...hands].sort((a, b) => b.count - a.count)) {
    const move = bestMove(from, receivers)
    if (move !== undefined) return move
  }
  return undefined
}

/** The member that holds the fewest receives a partition of the topic in which the giver has the largest surplus. */
const bestMove = (from: Hand, receivers: ReadonlyMap<string, Hand>): Move | undefined => {
  let best: Move | undefined
  const lead = ({ to, topic }: Move) => heldOf(from, topic) - heldOf(to, topic)
  for (const [topic, held] of from.topics) {
    const to = receivers.get(topic)!
    if (held.length === 0 || to.count + 1 >= from.count) continue
    const move = { from, to, topic }
    if (best === undefined || to.count < best.to.count || (to.count === best.to.count && lead(move) > lead(best))) {
      best = move
    }
  }
  return best
}

const partitionsOf = (hand: Hand): Array<TopicPartition> =>
  Array.from(hand.topics, ([topic, partitions]) => partitions.map((partition) => ({ topic, partition }))).flat()
