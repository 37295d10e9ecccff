import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HealthServer from "@spillway/observability/HealthServer"
import * as Health from "@spillway/transport/Health"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

export class Pool extends Context.Tag("guide/Pool")<Pool, { readonly isFull: () => boolean }>() {}

// #region component
export const Database = Layer.scopedDiscard(
  Effect.gen(function* () {
    const pool = yield* Pool
    const health = yield* Health.Health
    yield* health.register("database", () => ({
      connections: pool.isFull() ? { status: "degraded", state: "exhausted" } : { status: "up", state: "available" }
    }))
  })
)
// #endregion

// #region probes
export const probes = HttpRouter.empty.pipe(
  HttpRouter.get("/health", HealthServer.app()),
  HttpRouter.get("/health/live", HealthServer.app("live")),
  HttpRouter.get("/health/ready", HealthServer.app("ready"))
)
// #endregion
