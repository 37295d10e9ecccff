import * as HttpRouter from "@effect/platform/HttpRouter"
import * as KafkaJsWire from "@spillway/kafka/KafkaJsWire"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import type { Wire } from "@spillway/kafka/Wire"
import * as HealthServer from "@spillway/observability/HealthServer"
import * as HttpApps from "@spillway/observability/HttpApps"
import type { ConsumerError } from "@spillway/transport/Consumer"
import * as Health from "@spillway/transport/Health"
import type { Producer } from "@spillway/transport/Producer"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

export const served = (Orders: Layer.Layer<never, ConsumerError, Producer | Wire>) => {
  // #region server
  const Main = Orders.pipe(
    Layer.provide(KafkaProducer.layer()),
    Layer.provide(KafkaJsWire.layerConfig()),
    Layer.provide(HealthServer.layer())
  )
  // #endregion
  return Main
}

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
  HttpRouter.get("/health", HttpApps.health()),
  HttpRouter.get("/health/live", HttpApps.health("live")),
  HttpRouter.get("/health/ready", HttpApps.health("ready"))
)
// #endregion
