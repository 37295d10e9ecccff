import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TransportMetrics from "../src/TransportMetrics.js"
import { read, type Variables, withVariables } from "./support/environment.js"

describe("TransportMetrics.config", () => {
  it.scoped("reads the service from the environment, unless the program sets one", () =>
    Effect.gen(function* () {
      const service = (variables: Variables, defaults?: TransportMetrics.TransportMetricsOptions) =>
        Effect.map(read(TransportMetrics.config(defaults), variables), ({ service }) => service)
      assert.strictEqual(yield* service({ METRICS_SERVICE: "billing" }, { service: "orders" }), "billing")
      assert.strictEqual(yield* service({}, { service: "orders" }), "orders")
      for (const name of ["METRICS_SERVICE", "OTHER"]) {
        const built = Layer.build(TransportMetrics.layerConfig())
        const error = yield* Effect.flip(withVariables({ [name]: "my-service" })(built))
        assert.include(String(error), 'METRICS_SERVICE: "service must match')
      }
    })
  )
})
