import type { HealthCheck } from "@spillway/transport/Health"
import type { Reachability } from "./cluster.js"

/** Whether the cluster's brokers could be reached when they were last tried. */
export const check = ({ brokers, hasAnswered, unreachable }: Reachability): HealthCheck => {
  if (unreachable.length > 0 && unreachable.length === brokers.length) {
    return { status: "down", state: "unreachable", details: { unreachable } }
  }
  // Connections are made when they are needed: one that isn't there yet is no trouble.
  if (!hasAnswered) return { status: "up", state: "unknown", details: { brokers } }
  if (unreachable.length > 0) {
    return { status: "degraded", state: "partlyUnreachable", details: { brokers, unreachable } }
  }
  return { status: "up", state: "reachable", details: { brokers } }
}
