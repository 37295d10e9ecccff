import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { messageOf } from "../HandlerError.js"
import type {
  ComponentHealth,
  HealthCheck,
  HealthChecks,
  HealthRegistry,
  HealthReport,
  HealthStatus,
  HealthSummary
} from "../runtime/HealthRegistry.js"

const badness: Readonly<Record<HealthStatus, number>> = { up: 0, degraded: 1, down: 2 }

export const summarize = (parts: ReadonlyArray<Pick<HealthCheck, "status" | "live" | "ready">>): HealthSummary => ({
  status: parts.reduce<HealthStatus>((worst, { status }) => (badness[status] > badness[worst] ? status : worst), "up"),
  live: parts.every(({ live }) => live !== false),
  ready: parts.every(({ ready }) => ready !== false)
})

const starting: HealthReport = { status: "degraded", live: true, ready: false, components: {} }

const read = (checks: () => HealthChecks): HealthChecks => {
  try {
    return checks()
  } catch (error) {
    return { check: { status: "down", state: "unknown", details: { error: messageOf(error) } } }
  }
}

export const off: HealthRegistry = {
  enabled: false,
  stalledAfter: Duration.infinity,
  register: () => Effect.void,
  report: Effect.succeed(starting)
}

export const make = (stalledAfter: Duration.Duration): HealthRegistry => {
  const components = new Map<string, () => HealthChecks>()

  const freeName = (name: string): string => {
    for (let number = 1; ; number++) {
      const candidate = number === 1 ? name : `${name} #${number}`
      if (!components.has(candidate)) return candidate
    }
  }

  return {
    enabled: true,
    stalledAfter,
    register: (wanted, checks) =>
      Effect.asVoid(
        Effect.acquireRelease(
          Effect.sync(() => {
            const name = freeName(wanted)
            components.set(name, checks)
            return name
          }),
          (name) => Effect.sync(() => components.delete(name))
        )
      ),
    report: Effect.sync(() => {
      if (components.size === 0) return starting
      const entries = Array.from(components, ([name, checks]): [string, ComponentHealth] => {
        const found = read(checks)
        return [name, { ...summarize(Object.values(found)), checks: found }]
      })
      return { ...summarize(entries.map(([, component]) => component)), components: Object.fromEntries(entries) }
    })
  }
}
