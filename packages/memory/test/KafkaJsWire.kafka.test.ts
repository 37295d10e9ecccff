import { it } from "@effect/vitest"
import * as KafkaJsWire from "@spillway/kafka/KafkaJsWire"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { describeKafka, uniqueName } from "../../../scripts/kafka/testing.js"
import { type HarnessClient, wireConformance } from "./wireConformance.js"

/** Cutting off a client of a real broker closes its connections. */
const client = (brokers: string): Effect.Effect<HarnessClient, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const wire = yield* KafkaJsWire.make({ brokers: brokers.split(",") })
    const connections = yield* Scope.fork(yield* Effect.scope, ExecutionStrategy.sequential)
    return {
      wire: { ...wire, connect: (endpoint, role) => Scope.extend(wire.connect(endpoint, role), connections) },
      cut: Scope.close(connections, Exit.void)
    }
  })

describeKafka("KafkaJsWire", (brokers) =>
  wireConformance({
    name: "Kafka",
    test: (name, body) =>
      it.scopedLive(name, () => body({ client: client(brokers), unique: uniqueName, elapse: () => Effect.void }))
  })
)
