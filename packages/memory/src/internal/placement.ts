/**
 * The placement of a cluster in memory: which nodes are up, and which of them coordinates a group or a transactional
 * id. Leaders of partitions are part of their logs.
 */
import type { BrokerEndpoint } from "@spillway/kafka/Protocol"

export interface Placement {
  readonly nodes: ReadonlyArray<BrokerEndpoint>
  /** The nodes that the cluster's metadata lists: those that are up, or down and not yet noticed. */
  readonly live: () => ReadonlyArray<BrokerEndpoint>
  readonly isLive: (nodeId: number) => boolean
  /** Removes a node from the live ones, or adds it again. */
  readonly setLive: (nodeId: number, live: boolean) => void
  /** -1 when no node is live. */
  readonly controllerId: () => number
  /**
   * The node that coordinates a group, or undefined when none is live. A group stays on its node while the node is
   * live.
   */
  readonly coordinator: (groupId: string) => BrokerEndpoint | undefined
  /** The same for a transactional id. */
  readonly transactionCoordinator: (transactionalId: string) => BrokerEndpoint | undefined
  readonly moveCoordinator: (groupId: string, nodeId: number) => void
  /** The groups that a node coordinates, or would if it were live. */
  readonly coordinatedBy: (nodeId: number) => ReadonlyArray<string>
  /** The next live node after another one; -1 when none is live. */
  readonly successor: (nodeId: number) => number
  /**
   * The live node that clients of a rack should read from instead of this one. It may be this one; -1 means unknown.
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
