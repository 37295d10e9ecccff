import * as Faults from "@spillway/memory/Faults"
import * as MemoryBroker from "@spillway/memory/MemoryBroker"
import * as Simulation from "@spillway/memory/Simulation"
import * as Codec from "@spillway/transport/Codec"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Billing, Order } from "./Billing.js"

// #region run
export const simulated = Effect.forEach([1, 2, 3], (seed) =>
  Simulation.run(seed, {
    consumer: {
      groupId: "billing",
      topics: ["orders"],
      value: Codec.json(Order),
      handler: ({ value }) => Effect.flatMap(Billing, (billing) => billing.charge(value)),
      deadLetter: DeadLetter.topic("orders-dlq")
    },
    record: (index) => ({ key: String(index), value: JSON.stringify({ id: String(index), amount: 10 }) })
  })
)
// #endregion

// #region faults
export const Cluster = Faults.layer({
  seed: 1,
  rules: [
    { fault: { _tag: "LoseResponse" }, apis: ["Produce"], probability: 0.1 },
    { fault: { _tag: "Freeze" }, from: "1 minute", until: "2 minutes" }
  ]
}).pipe(Layer.provide(MemoryBroker.layer({ topics: { orders: 1, "orders-dlq": 1 } })))
// #endregion
