import * as NodeSdk from "@effect/opentelemetry/NodeSdk"
import { assert, describe, it } from "@effect/vitest"
import { InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Codec from "../src/Codec.js"
import * as DeadLetter from "../src/DeadLetter.js"
import * as Headers from "../src/Headers.js"
import * as Processor from "../src/runtime/Processor.js"
import * as TransportTracing from "../src/TransportTracing.js"
import { source } from "./support/processor.js"

describe("tracing with the OpenTelemetry SDK", () => {
  it.effect("exports sampled traces with their state, and no others", () => {
    const exporter = new InMemorySpanExporter()
    const sdk = NodeSdk.layer(() => ({
      resource: { serviceName: "billing" },
      spanProcessor: new SimpleSpanProcessor(exporter)
    }))
    return Effect.gen(function* () {
      const processor = yield* Processor.make({
        groupId: "billing",
        topics: ["orders"],
        value: Codec.bytes,
        handler: () => Effect.withSpan(Effect.void, "own"),
        deadLetter: DeadLetter.none("skip"),
        handlerTimeout: Duration.minutes(5)
      })
      for (const flags of ["00", "01", "00"]) {
        const traceparent = `00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-${flags}`
        const headers = Headers.fromRecord({ traceparent, tracestate: "vendor=x" })
        yield* processor.attempt({ ...source, headers })
      }
      assert.deepStrictEqual(
        exporter
          .getFinishedSpans()
          .map((span) => [
            span.name,
            span.parentSpanContext?.spanId === "b7ad6b7169203331",
            span.spanContext().traceState?.serialize()
          ]),
        [
          ["own", false, "vendor=x"],
          ["process orders", true, "vendor=x"]
        ]
      )
    }).pipe(Effect.provide([sdk, TransportTracing.layer()]))
  })
})
