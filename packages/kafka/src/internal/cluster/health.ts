import type { HealthCheck } from "@spillway/transport/Health"
import type { Reachability } from "./cluster.js"

/** Whether the cluster's brokers were reachable at the last attempt. */
export const check = ({ brokers, hasAnswered, unreachable }: Reachability): HealthCheck => {
  if (unreachable.length > 0 && unreachable.length === brokers.length) {
    return { status: "down", state: "unreachable", details: { unreachable } }
  }
  // Connections open when they are first needed: a missing one is not a failure.
  if (!hasAnswered) return { status: "up", state: "unknown", details: { brokers } }
  if (unreachable.length > 0) {
    return { status: "degraded", state: "partlyUnreachable", details: { brokers, unreachable } }
  }
  return { status: "up", state: "reachable", details: { brokers } }
}
