/**
 * Metrics and health as apps of `@effect/platform`, for programs with their own HTTP server. Needs that package;
 * `PrometheusServer` and `HealthServer` don't.
 */
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import type { Probe } from "./HealthServer.js"
import * as HealthReply from "./internal/healthReply.js"
import * as MetricsReply from "./internal/metricsReply.js"
import type { Reply } from "./internal/reply.js"

const appOf = (reply: Effect.Effect<Reply>): HttpApp.Default =>
  Effect.map(reply, ({ body, headers, status }) =>
    HttpServerResponse.text(body, { status, headers, contentType: headers["content-type"] })
  )

/** Responds to any request with the metrics of this process: `HttpRouter.get("/metrics", HttpApps.metrics)`. */
export const metrics: HttpApp.Default = appOf(MetricsReply.reply)

/**
 * Responds to any request with the health of this process, in the form that `HealthServer` documents:
 * `HttpRouter.get("/ready", HttpApps.health("ready"))`. Default: overall health.
 */
export const health = (probe: Probe = "health"): HttpApp.Default => appOf(HealthReply.reply(probe))
