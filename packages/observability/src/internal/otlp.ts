/**
 * `@effect/opentelemetry`'s OTLP export, extended for shutdown and for failed spans.
 */

import * as OtlpSerialization from "@effect/opentelemetry/OtlpSerialization"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientError from "@effect/platform/HttpClientError"
import * as Concurrency from "@spillway/transport/runtime/Concurrency"
import * as Logging from "@spillway/transport/runtime/Logging"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as LogLevel from "effect/LogLevel"

/** The parts of `TraceData` that this reads. */
interface TraceData {
  readonly resourceSpans: ReadonlyArray<{
    readonly scopeSpans: ReadonlyArray<{
      readonly spans: ReadonlyArray<{
        readonly status: { readonly code: number }
        readonly attributes: Array<{ readonly key: string }>
      }>
    }>
  }>
}

const errorStatus = 2

const interruptedOnly: ReadonlyArray<string> = ["span.label", "status.interrupted"]

/** Version 0.64 labels every failed span as interrupted. */
const withoutLabels = (data: unknown): unknown => {
  for (const { scopeSpans } of (data as TraceData).resourceSpans) {
    for (const { spans } of scopeSpans) {
      for (const { attributes, status } of spans) {
        if (status.code !== errorStatus) continue
        const kept = attributes.filter(({ key }) => !interruptedOnly.includes(key))
        attributes.splice(0, attributes.length, ...kept)
      }
    }
  }
  return data
}

/** How OTLP is encoded. */
export type OtlpProtocol = "http/json" | "http/protobuf"

export const serialization = (protocol: OtlpProtocol): Layer.Layer<OtlpSerialization.OtlpSerialization> =>
  Layer.effect(
    OtlpSerialization.OtlpSerialization,
    Effect.map(OtlpSerialization.OtlpSerialization, (given) => ({
      metrics: given.metrics,
      logs: given.logs,
      traces: (data: unknown) => given.traces(withoutLabels(data))
    }))
  ).pipe(Layer.provide(protocol === "http/json" ? OtlpSerialization.layerJson : OtlpSerialization.layerProtobuf))

/**
 * Sends each export within a timeout, and completes it even during a shutdown, since its data exists nowhere else. Logs
 * failed exports, with a rate limit; the exporter itself logs them only at Debug.
 */
export const client = (timeout: Duration.Duration): Layer.Layer<HttpClient.HttpClient> =>
  Layer.effect(
    HttpClient.HttpClient,
    Effect.map(HttpClient.HttpClient, (client) => {
      const limited = Logging.limited({ lines: 1, every: "1 minute" })
      return HttpClient.transform(client, (response, request) =>
        Concurrency.timeoutFail(Effect.interruptible(response), {
          duration: timeout,
          onTimeout: () =>
            new HttpClientError.RequestError({ request, reason: "Transport", description: "no response in time" })
        }).pipe(
          Effect.tap(({ status }) => (status >= 400 ? limited(warn(request.url, `status ${status}`)) : Effect.void)),
          Effect.tapError(({ message }) => limited(warn(request.url, message))),
          // Not a child fiber: it would be interrupted with its parent, even in an uninterruptible region.
          Effect.forkDaemon,
          Effect.flatMap(Fiber.join),
          Effect.uninterruptible
        )
      )
    })
  ).pipe(Layer.provide(FetchHttpClient.layer))

const warn = (url: string, error: string): Effect.Effect<void> =>
  Logging.log(LogLevel.Warning, "Telemetry is not exported", { url, error })
