import type { HealthCheck } from "@spillway/transport/Health"
import type { Lasting } from "../concurrency/retries.js"

/** Degraded while an operation that a client retries has been failing for a long time. */
export const check = (lasting: ReadonlyArray<Lasting>): HealthCheck =>
  lasting.length === 0
    ? { status: "up", state: "none" }
    : { status: "degraded", state: "retrying", details: { operations: lasting.map((one) => ({ ...one })) } }
