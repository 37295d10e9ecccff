/**
 * Nodes of a cluster in memory that fail and return, and the leaderships and coordinators that move between them.
 */
import * as Duration from "effect/Duration"
import type { Connections } from "./connections.js"
import type { Coordinator } from "./coordinator.js"
import type { Placement } from "./placement.js"
import type { Timers } from "./timers.js"
import type { Topics } from "./topics.js"

/** How a node stops, and what follows. */
export interface MemoryNodeStop {
  /** When the other nodes notice, and take over the node's partitions and groups. Default: at once. */
  readonly electAfter?: Duration.DurationInput | undefined
  /** The fate of records that only this node had. Default: `kept`, as on a clean shutdown. */
  readonly tail?: "kept" | "lost" | undefined
}

export interface Nodes {
  readonly stop: (nodeId: number, options?: MemoryNodeStop | undefined) => void
  readonly start: (nodeId: number) => void
  readonly moveCoordinator: (groupId: string, nodeId: number) => void
}

export interface Parts {
  readonly timers: Timers
  readonly placement: Placement
  readonly topics: Topics
  readonly coordinator: Coordinator
  readonly connections: Connections
}

export const make = ({ connections, coordinator, placement, timers, topics }: Parts): Nodes => {
  const stopped = new Set<number>()

  const takeOver = (nodeId: number, tail: "kept" | "lost"): void => {
    if (!stopped.has(nodeId) || !placement.isLive(nodeId)) return
    const groups = placement.coordinatedBy(nodeId)
    placement.setLive(nodeId, false)
    for (const { partition, topic } of topics.ledBy(nodeId)) {
      topics.elect(topic, partition, placement.successor(nodeId), tail)
    }
    groups.forEach(coordinator.handOver)
  }

  return {
    stop: (nodeId, { electAfter = 0, tail = "kept" } = {}) => {
      stopped.add(nodeId)
      connections.stop([nodeId])
      const delayMs = Duration.toMillis(electAfter)
      if (delayMs === 0) takeOver(nodeId, tail)
      else timers.after(delayMs, () => takeOver(nodeId, tail))
    },
    start: (nodeId) => {
      stopped.delete(nodeId)
      placement.setLive(nodeId, true)
      for (const { partition, topic } of topics.ledBy(-1)) topics.elect(topic, partition, nodeId, "kept")
      connections.start([nodeId])
    },
    moveCoordinator: (groupId, nodeId) => {
      if (placement.coordinator(groupId)?.nodeId === nodeId) return
      placement.moveCoordinator(groupId, nodeId)
      coordinator.handOver(groupId)
    }
  }
}
