/**
 * Faults of the network and of brokers between a client and any `Wire`, by a seeded plan. The same plan makes the same
 * faults if the requests arrive in the same order.
 */
import { Wire } from "@spillway/kafka/Wire"
import * as Monotonic from "@spillway/transport/runtime/Monotonic"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as FaultRules from "./internal/faultRules.js"
import type { Fault, FaultEvent, FaultPlan, FaultRule } from "./internal/faultTypes.js"
import * as FaultyConnection from "./internal/faultyConnection.js"

export type { Fault, FaultEvent, FaultPlan, FaultRule }

/** A wire whose connections have the faults of the plan. */
export const wrap = (wire: Context.Tag.Service<Wire>, plan: FaultPlan): Effect.Effect<Context.Tag.Service<Wire>> =>
  Effect.gen(function* () {
    const runtime = yield* Effect.runtime<never>()
    const clock = yield* Effect.clock
    return FaultyConnection.wrap(wire, {
      runtime,
      clock,
      rules: FaultRules.make(plan, Monotonic.millis(clock)),
      requestTimeoutMs: Duration.toMillis(plan.requestTimeout ?? "30 seconds"),
      connectTimeoutMs: Duration.toMillis(plan.connectTimeout ?? "10 seconds"),
      onFault: plan.onFault ?? (() => {})
    })
  })

/**
 * Adds the faults of the plan to the `Wire` that it is given:
 * `Faults.layer(plan).pipe(Layer.provide(MemoryBroker.layer()))`.
 */
export const layer = (plan: FaultPlan): Layer.Layer<Wire, never, Wire> =>
  Layer.effect(
    Wire,
    Effect.flatMap(Wire, (wire) => wrap(wire, plan))
  )
