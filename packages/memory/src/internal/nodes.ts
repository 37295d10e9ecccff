/**
 * Nodes of a cluster in memory that fail and come back, and what moves between them.
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Connections } from "./connections.js"
import type { Coordinator } from "./coordinator.js"
import type { Placement } from "./placement.js"
import type { Topics } from "./topics.js"

export interface StopOptions {
  /** When the others notice, and take over what the node led and coordinated. Default: at once. */
  readonly electAfter?: Duration.DurationInput | undefined
  /** What becomes of records that only the node had. Default: `kept`, as on a clean shutdown. */
  readonly tail?: "kept" | "lost" | undefined
}

export interface Nodes {
  readonly stop: (nodeId: number, options?: StopOptions | undefined) => Effect.Effect<void>
  readonly start: (nodeId: number) => Effect.Effect<void>
  readonly moveCoordinator: (groupId: string, nodeId: number) => Effect.Effect<void>
}

export interface Parts {
  readonly clock: Clock.Clock
  readonly scope: Scope.Scope
  readonly placement: Placement
  readonly topics: Topics
  readonly coordinator: Coordinator
  readonly connections: Connections
}

export const make = ({ clock, connections, coordinator, placement, scope, topics }: Parts): Nodes => {
  const stopped = new Set<number>()

  const takeOver = (nodeId: number, tail: "kept" | "lost") =>
    Effect.suspend(() => {
      if (!stopped.has(nodeId) || !placement.isLive(nodeId)) return Effect.void
      const groups = placement.coordinatedBy(nodeId)
      placement.setLive(nodeId, false)
      for (const { partition, topic } of topics.ledBy(nodeId)) {
        topics.elect(topic, partition, placement.successor(nodeId), tail)
      }
      return Effect.forEach(groups, coordinator.handOver, { discard: true })
    })

  return {
    stop: (nodeId, { electAfter = 0, tail = "kept" } = {}) =>
      Effect.suspend(() => {
        stopped.add(nodeId)
        const delay = Duration.decode(electAfter)
        return Effect.zipRight(
          connections.stop([nodeId]),
          Duration.toMillis(delay) === 0
            ? takeOver(nodeId, tail)
            : Effect.asVoid(
                Effect.forkIn(Effect.zipRight(Effect.interruptible(clock.sleep(delay)), takeOver(nodeId, tail)), scope)
              )
        )
      }),
    start: (nodeId) =>
      Effect.suspend(() => {
        stopped.delete(nodeId)
        placement.setLive(nodeId, true)
        for (const { partition, topic } of topics.ledBy(-1)) topics.elect(topic, partition, nodeId, "kept")
        return connections.start([nodeId])
      }),
    moveCoordinator: (groupId, nodeId) =>
      Effect.suspend(() => {
        if (placement.coordinator(groupId)?.nodeId === nodeId) return Effect.void
        placement.moveCoordinator(groupId, nodeId)
        return coordinator.handOver(groupId)
      })
  }
}
