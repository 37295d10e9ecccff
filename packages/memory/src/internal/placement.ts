/**
 * What runs where in a cluster in memory: which nodes are up, and which of them coordinates a group or a
 * transactional id. Leaders of partitions are part of their logs.
 */
import type { BrokerEndpoint } from "@spillway/kafka/Protocol"

export interface Placement {
  readonly nodes: ReadonlyArray<BrokerEndpoint>
  /** The nodes that the cluster counts on, as its metadata lists them: those that are up, or not yet missed. */
  readonly live: () => ReadonlyArray<BrokerEndpoint>
  readonly isLive: (nodeId: number) => boolean
  /** The cluster misses a node, or has it back. */
  readonly setLive: (nodeId: number, live: boolean) => void
  /** -1 when no node is live. */
  readonly controllerId: () => number
  /** The node that coordinates a group, undefined when none is live. It stays where it is while its node is live. */
  readonly coordinator: (groupId: string) => BrokerEndpoint | undefined
  /** The same, of a transactional id. */
  readonly transactionCoordinator: (transactionalId: string) => BrokerEndpoint | undefined
  readonly moveCoordinator: (groupId: string, nodeId: number) => void
  /** The groups that a node coordinates, or would if it were live. */
  readonly coordinatedBy: (nodeId: number) => ReadonlyArray<string>
  /** The live node that comes after another one in turn; -1 when there is none. */
  readonly successor: (nodeId: number) => number
  /**
   * Which live node those of a rack had better read from than from this one, which may be it; -1: that can't be told.
   */
  readonly nearest: (nodeId: number, rackId: string) => number
}

/** Nodes 1 to `count`. */
export const make = (count: number, racks: ReadonlyArray<string> = []): Placement => {
  const nodes = Array.from({ length: count }, (_, index) => ({ nodeId: index + 1, host: "memory", port: 9092 + index }))
  const missed = new Set<number>()
  const coordinators = new Map<string, number>()
  const transactionCoordinators = new Map<string, number>()
  const isLive = (nodeId: number) => nodeId >= 1 && nodeId <= count && !missed.has(nodeId)
  const live = () => nodes.filter(({ nodeId }) => isLive(nodeId))

  const successor = (nodeId: number): number => {
    for (let step = 1; step <= count; step++) {
      const candidate = ((nodeId - 1 + step) % count) + 1
      if (isLive(candidate)) return candidate
    }
    return -1
  }

  const placed = (places: Map<string, number>, key: string): BrokerEndpoint | undefined => {
    const known = places.get(key)
    const nodeId = known !== undefined && isLive(known) ? known : successor(known ?? places.size)
    if (nodeId === -1) return undefined
    places.set(key, nodeId)
    return nodes[nodeId - 1]
  }

  return {
    nodes,
    live,
    isLive,
    setLive: (nodeId, live) => {
      if (live) missed.delete(nodeId)
      else missed.add(nodeId)
    },
    controllerId: () => live()[0]?.nodeId ?? -1,
    coordinator: (groupId) => placed(coordinators, groupId),
    transactionCoordinator: (transactionalId) => placed(transactionCoordinators, transactionalId),
    moveCoordinator: (groupId, nodeId) => {
      coordinators.set(groupId, nodeId)
    },
    coordinatedBy: (nodeId) =>
      Array.from(coordinators.keys()).filter((groupId) => coordinators.get(groupId) === nodeId),
    successor,
    nearest: (nodeId, rackId) => {
      if (rackId === "" || racks.length === 0) return -1
      if (racks[nodeId - 1] === rackId) return nodeId
      return live().find((node) => racks[node.nodeId - 1] === rackId)?.nodeId ?? nodeId
    }
  }
}
