import type { HealthCheck } from "@spillway/transport/Health"
import type { Lasting } from "../concurrency/retries.js"

/** Whether an operation that a client repeats until it succeeds has failed for long. */
export const check = (lasting: ReadonlyArray<Lasting>): HealthCheck =>
  lasting.length === 0
    ? { status: "up", state: "none" }
    : { status: "degraded", state: "retrying", details: { operations: lasting.map((one) => ({ ...one })) } }
