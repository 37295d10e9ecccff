import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as PrometheusFormat from "../PrometheusFormat.js"
import type { Reply } from "./reply.js"

/** The metrics of this process. */
export const reply: Effect.Effect<Reply> = Effect.sync(() => ({
  status: 200,
  headers: { "content-type": PrometheusFormat.contentType },
  body: PrometheusFormat.format(Metric.unsafeSnapshot())
}))
