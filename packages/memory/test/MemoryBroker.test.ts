import { it } from "@effect/vitest"
import * as MemoryBroker from "@spillway/memory/MemoryBroker"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import { type Harness, wireConformance } from "./wireConformance.js"

const harness: Effect.Effect<Harness, unknown, import("effect/Scope").Scope> = Effect.gen(function* () {
  const broker = yield* MemoryBroker.make()
  let names = 0
  return { client: broker.client(), unique: (prefix) => `${prefix}-${++names}`, elapse: TestClock.adjust }
})

wireConformance({
  name: "MemoryBroker",
  test: (name, body) => it.scoped(name, () => Effect.flatMap(harness, body))
})
