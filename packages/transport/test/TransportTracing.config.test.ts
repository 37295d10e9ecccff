import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TransportTracing from "../src/TransportTracing.js"
import { problemsOf, read, withVariables } from "./support/environment.js"

describe("TransportTracing.config", () => {
  it.scoped("reads every option from the environment, over the program's own", () =>
    Effect.gen(function* () {
      const variables = { TRACING_RELATION: "link", TRACING_RECORD_KEYS: "true" }
      assert.deepStrictEqual(
        yield* read(TransportTracing.config({ clientId: "shop", relation: "parent" }), variables),
        {
          clientId: "shop",
          relation: "link",
          recordKeys: true
        }
      )
      const context = yield* withVariables(variables)(Layer.build(TransportTracing.layerConfig()))
      assert.isTrue(
        Context.get(context as Context.Context<TransportTracing.TransportTracing>, TransportTracing.TransportTracing)
          .enabled
      )
      const wrong = { TRACING_RELATION: "child", TRACING_RECORD_KEYS: "some" }
      assert.deepStrictEqual(problemsOf(yield* Effect.flip(read(TransportTracing.config(), wrong))), [
        'TRACING_RELATION: relation must be one of parent, link, not "child"',
        'TRACING_RECORD_KEYS: recordKeys must be true or false, not "some"'
      ])
    })
  )
})
