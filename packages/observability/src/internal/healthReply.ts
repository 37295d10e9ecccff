import * as Health from "@spillway/transport/Health"
import * as Effect from "effect/Effect"
import type { Reply } from "./reply.js"

/** The question to answer: overall health, whether a restart helps, or whether components take work. */
export type Probe = "health" | "live" | "ready"

const passes: Readonly<Record<Probe, (of: Pick<Health.ComponentHealth, "status" | "live" | "ready">) => boolean>> = {
  health: ({ status }) => status !== "down",
  live: ({ live }) => live,
  ready: ({ ready }) => ready
}

const answer = (probe: Probe, report: Health.HealthReport): Reply => {
  const passed = passes[probe](report)
  const shown = Object.entries(report.components).filter(([, of]) => probe === "health" || !passes[probe](of))
  const status = probe === "health" ? report.status : passed ? "up" : "down"
  const components = Object.fromEntries(shown.map(([name, { checks, status }]) => [name, { status, checks }]))
  return {
    status: passed ? 200 : 503,
    headers: { "content-type": "application/json", "cache-control": "no-store" },
    body: JSON.stringify({ status, components })
  }
}

/** The health of this process. */
export const reply = (probe: Probe): Effect.Effect<Reply> =>
  Effect.flatMap(Health.Health, ({ report }) => Effect.map(report, (report) => answer(probe, report)))
