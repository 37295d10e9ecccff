/**
 * Which partitions are paused, assigned or not: all or none, with exceptions.
 */
import type { TopicPartition } from "@spillway/transport/Consumer"

export interface Pauses {
  readonly all: boolean
  readonly except: ReadonlySet<string>
}

const idOf = ({ partition, topic }: TopicPartition): string => `${topic}-${partition}`

export const none: Pauses = { all: false, except: new Set() }

export const all: Pauses = { all: true, except: new Set() }

/** Pauses these partitions, or resumes them. */
export const set = (pauses: Pauses, partitions: ReadonlyArray<TopicPartition>, paused: boolean): Pauses => {
  const except = new Set(pauses.except)
  for (const partition of partitions) {
    if (paused === pauses.all) except.delete(idOf(partition))
    else except.add(idOf(partition))
  }
  return { all: pauses.all, except }
}

export const isPaused = (pauses: Pauses, partition: TopicPartition): boolean =>
  pauses.all !== pauses.except.has(idOf(partition))

/** Whether a member with these partitions is fully paused. Without partitions, it is if everything is paused. */
export const isWhole = (pauses: Pauses, owned: Iterable<TopicPartition>): boolean => {
  let any = false
  for (const partition of owned) {
    if (!isPaused(pauses, partition)) return false
    any = true
  }
  return any || (pauses.all && pauses.except.size === 0)
}
